"""What no network of the questions has seen, and every one is judged by: classifiers of real images and clips.

A classifier learns classes from the training half alone. Its features give a Fréchet distance, and its classes the
modes that samples cover.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.studies.questions.nets import Trunk
from dyntex.networks.architecture import FULL, Layer

N_FEATURES = 32
BATCH = 64
SPLITS = 4
"""Random halvings of the held-out images over which real-to-real distances are averaged."""


@dataclass(frozen=True)
class Classifier:
    """A classifier of real images or clips (B, C, T, H, W).

    Attributes:
        trunk: to ``N_FEATURES`` features a position in time.
        readout: from their average over time to logits.
        accuracy: on held-out real ones.
    """

    trunk: Trunk
    readout: Trunk
    accuracy: float

    def features(self, y: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, N_FEATURES)."""
        with torch.no_grad():
            return torch.cat([_features(self.trunk, part) for part in torch.split(y, BATCH)])

    def classes(self, y: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B,), the most probable class of each."""
        with torch.no_grad():
            return _logits(self.readout, self.features(y)).argmax(1)


def train_classifier(
    y: Tensor, labels: Tensor, heldout: Tensor, heldout_labels: Tensor, *, steps: int, rng: torch.Generator
) -> Classifier:
    """Train a classifier by cross-entropy, with noise of .1 on the data so that single pixels decide nothing."""
    taps = min(3, y.shape[2])
    stride = (2, 2, 2) if taps > 1 else (1, 2, 2)
    layers = (
        Layer(16, (taps, 4, 4), stride),
        Layer(32, (taps, 4, 4), stride),
        Layer(N_FEATURES, (1, FULL, FULL)),
    )
    trunk = Trunk(layers, (y.shape[1], y.shape[3], y.shape[4]), rng=rng)
    readout = Trunk((Layer(int(labels.max()) + 1, (1, 1, 1), activation="none"),), (N_FEATURES, 1, 1), rng=rng)
    opt = torch.optim.Adam([*trunk.parameters(), *readout.parameters()], lr=2e-3)
    for _ in range(steps):
        pick = torch.randint(len(y), (BATCH,), generator=rng)
        noisy = y[pick] + 0.1 * torch.randn((BATCH, *y.shape[1:]), generator=rng)
        opt.zero_grad()
        torch.autograd.backward(F.cross_entropy(_logits(readout, _features(trunk, noisy)), labels[pick]))
        opt.step()
    classifier = Classifier(trunk, readout, 0.0)
    right = (classifier.classes(heldout) == heldout_labels).float().mean()
    return Classifier(trunk, readout, float(right))


def _features(trunk: Trunk, y: Tensor) -> Tensor:
    features: Tensor = trunk(y).mean(dim=(2, 3, 4))
    return features


def _logits(readout: Trunk, features: Tensor) -> Tensor:
    logits: Tensor = readout(features[:, :, None, None, None]).flatten(1)
    return logits


def frechet(a: Tensor, b: Tensor) -> float:
    """The Fréchet distance (Dowson, Landau 1982) of the Gaussians fitted to features (n, d) and (m, d); not squared."""
    a, b = a.double(), b.double()
    cov_a, cov_b = a.T.cov(), b.T.cov()
    # tr (A B)^(1/2) is the sum of the roots of A B's eigenvalues, which are real and not negative.
    cross = torch.linalg.eigvals(cov_a @ cov_b).real.clamp_min(0.0).sqrt().sum()
    squared = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2.0 * cross
    return math.sqrt(max(0.0, float(squared)))


def relative_frechet(samples: Tensor, heldout: Tensor, *, rng: torch.Generator) -> float:
    """How far samples are from held-out real ones, in units of how far half of these are from the other half.

    All features, (n, d), in sets of one size, since the distance grows as they shrink; the mean over ``SPLITS``.

    Args:
        samples: at least half as many as are held out.
        heldout: neither the samples' makers nor the classifier have seen them.
        rng: draws the halves.
    """
    half = len(heldout) // 2
    found, real = 0.0, 0.0
    for _ in range(SPLITS):
        order = torch.randperm(len(heldout), generator=rng)
        one, other = heldout[order[:half]], heldout[order[half : 2 * half]]
        found += frechet(samples[torch.randperm(len(samples), generator=rng)[:half]], other)
        real += frechet(one, other)
    return found / real


def modes(classes: Tensor, n_modes: int) -> tuple[int, float]:
    """How many of ``n_modes`` the classes (n,) of samples cover, and KL(samples | uniform) in nats."""
    share = torch.bincount(classes, minlength=n_modes).double() / len(classes)
    hit = share[share > 0]
    return len(hit), max(0.0, float((hit * (hit * n_modes).log()).sum()))


def mean_nearest(queries: Tensor, pool: Tensor, *, itself: bool = False) -> float:
    """Mean Euclidean distance of each query to the nearest of a pool, (n, ...) both; to the nearest other one where
    the pool is the queries themselves."""
    distances = torch.cdist(queries.flatten(1), pool.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    if itself:
        distances.fill_diagonal_(math.inf)
    return float(distances.min(dim=1).values.mean())
