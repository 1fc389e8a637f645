"""The paper's research questions, answered with numbers: ``dyntex benchmark questions``."""
