"""One seed gives a stream for each purpose, and no two seeds or purposes share one."""

from __future__ import annotations

from itertools import product
from typing import get_args

import numpy as np
import pytest
import torch

from dyntex.errors import UsageError
from dyntex.random_streams import Purpose, generator

SEEDS = (0, 1, 2, 7, 8, 2**31, 2**32, 2**32 + 1, 2**63, 2**200)


def draws(seed: int, purpose: Purpose) -> np.ndarray:
    return torch.randn(4096, dtype=torch.float64, generator=generator(seed, purpose)).numpy()


def test_the_same_words_give_the_same_stream():
    assert np.array_equal(draws(3, "train"), draws(3, "train"))


def test_no_two_purposes_or_seeds_share_a_stream():
    """Also seeds that differ by one, and by 2**32, which PyTorch's own generator takes for the same."""
    streams = [draws(seed, purpose) for seed, purpose in product(SEEDS, get_args(Purpose))]
    correlations = np.corrcoef(streams) - np.eye(len(streams))
    # Independent: each is normal of standard deviation 1/64; the largest of 3160 is beyond 6 of them once in 10^5 runs.
    assert np.abs(correlations).max() < 6 / 64


def test_no_stream_is_a_shifted_part_of_another():
    """A stream that begins where another's k-th draw is would look independent, number by number."""
    starts = {draws(seed, purpose)[0] for seed, purpose in product(SEEDS, get_args(Purpose))}
    for seed, purpose in product(SEEDS, get_args(Purpose)):
        assert not starts & set(draws(seed, purpose)[1:])


def test_a_negative_seed_is_refused():
    with pytest.raises(UsageError, match="seed -1 is negative"):
        generator(-1, "train")
