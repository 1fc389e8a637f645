"""The digits of scikit-learn at 16x16: real images with classes that a dependency ships; and three as one colour image.

From E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998: 1797 images of 8x8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.studies.questions.classifier import (
    Classifier,
    mean_nearest,
    modes,
    relative_frechet,
    train_classifier,
)
from dyntex.benchmarks.studies.questions.nets import DIGITS_SIZE
from dyntex.errors import MissingDependencyError

N_TRAIN = 1000
N_CLASSES = 10
N_STACKED = 6000
"""Colour images to learn from: six for each of the 1000 modes."""


@dataclass(frozen=True)
class Digits:
    """Grey images (N, 1, 1, 16, 16) in [-1, 1], and the classifier of them.

    Attributes:
        train, labels: what is learnt from.
        heldout: what nothing was learnt from.
        classifier: of grey digits.
    """

    train: Tensor
    labels: Tensor
    heldout: Tensor
    classifier: Classifier

    def measure(self, samples: Tensor) -> dict[str, float]:
        """Of samples (n, 1, 1, 16, 16), n at least half as many as are held out; 1 is as real ones are, in all.

        ``shape`` and ``texture``: the relative Fréchet distances of the classifier's features, which see what is
        drawn and are blind to noise, and of the pixels, which see how; ``score``: their geometric mean.
        ``diversity``: the mean distance from a sample to the nearest other one, over that of as many held-out ones.
        ``copy_distance``: to the nearest training image, over theirs.
        """
        n = len(self.heldout) // 2
        real, drawn = self.heldout[:n], samples[:n]
        pairs = {
            "shape": (self.classifier.features(samples), self.classifier.features(self.heldout)),
            "texture": (samples.flatten(1), self.heldout.flatten(1)),
        }
        # The same halves for all samples: the yardstick does not move.
        found = {k: relative_frechet(a, b, rng=torch.Generator().manual_seed(0)) for k, (a, b) in pairs.items()}
        return found | {
            "score": math.sqrt(found["shape"] * found["texture"]),
            "diversity": mean_nearest(drawn, drawn, itself=True) / mean_nearest(real, real, itself=True),
            "copy_distance": mean_nearest(drawn, self.train) / mean_nearest(real, self.train),
        }

    def stacked(self, *, rng: torch.Generator, heldout: bool = False, n: int = N_STACKED) -> Tensor:
        """Colour images (n, 3, 1, 16, 16): a random digit in each plane (Metz et al. 2017, with MNIST's digits)."""
        pool = self.heldout if heldout else self.train
        return torch.cat([pool[torch.randint(len(pool), (n,), generator=rng)] for _ in range(3)], dim=1)

    def measure_stacked(self, samples: Tensor) -> dict[str, float]:
        """``modes`` of 1000, ``kl`` to their uniform law, and the score of the planes as grey digits."""
        planes = samples.transpose(0, 1)  # (3, n, 1, H, W)
        a, b, c = (self.classifier.classes(plane[:, None]) for plane in planes)
        covered, kl = modes(100 * a + 10 * b + c, N_CLASSES**3)
        return {"modes": float(covered), "kl": kl, "score": self.measure(planes.flatten(0, 1)[:, None])["score"]}


def check_digits() -> None:
    """Whether they are there.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    try:
        import sklearn.datasets  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("the digits come with scikit-learn: pip install scikit-learn") from error


def read_digits(*, rng: torch.Generator, steps: int) -> Digits:
    """Split them at random into what is learnt from and what is held out, and train the classifier.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    check_digits()
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    small = torch.as_tensor(found.images, dtype=torch.float32)[:, None] / 8.0 - 1.0  # (N, 1, 8, 8)
    large = F.interpolate(small, size=DIGITS_SIZE, mode="bilinear", align_corners=False)
    order = torch.randperm(len(large), generator=rng)
    y, labels = large[order, :, None].contiguous(), torch.as_tensor(found.target)[order]
    classifier = train_classifier(y[:N_TRAIN], labels[:N_TRAIN], y[N_TRAIN:], labels[N_TRAIN:], steps=steps, rng=rng)
    return Digits(y[:N_TRAIN], labels[:N_TRAIN], y[N_TRAIN:], classifier)
