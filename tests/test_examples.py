"""The procedural examples against the laws that they claim."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dyntex.errors import InputError, UsageError
from dyntex.examples import EXAMPLES, make

SMALL = {"size": (24, 32), "n_frames": 5}


@pytest.fixture(params=EXAMPLES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_same_seed_is_the_same_clip_and_more_frames_continue_it(name: str) -> None:
    clip = make(name, **SMALL, seed=3)
    assert torch.equal(make(name, size=(24, 32), n_frames=9, seed=3).video[:, :5], clip.video)
    assert clip.video.shape == (3, 5, 24, 32)


def test_words_that_are_wrong() -> None:
    with pytest.raises(InputError, match="did you mean 'ocean'"):
        make("ocaen")
    with pytest.raises(UsageError, match="no parameter 'wnd'"):
        make("ocean", wnd=5.0)
    with pytest.raises(UsageError, match="from 3 to 10"):
        make("ocean", wind=np.nan)
