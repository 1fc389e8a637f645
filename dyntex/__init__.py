"""dyntex: learn a generative model of a dynamic texture from one short clip, and synthesize new video of any length."""

__version__ = "0.1.0"
