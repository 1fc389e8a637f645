"""Whether a model does what it is told: by labels, sketches and texts (Xie et al., the fifth question)."""
