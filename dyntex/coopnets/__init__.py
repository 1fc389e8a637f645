"""Cooperative networks (Xie et al., TPAMI 2020): a file for each idea. Start with :mod:`dyntex.coopnets.train`."""
