"""Whether a model does what its condition says: labels, sketches and texts (Xie et al., the fifth question)."""
