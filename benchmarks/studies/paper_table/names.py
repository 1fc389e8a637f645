"""What the rows of the paper's table are called."""

from __future__ import annotations

NETWORKS = {
    "revised": "paper-fc64, y_rev",
    "generator": "paper-fc64, g(z)",
    "chains": "paper-fc64, chains in training",
}
"""By kind: samples of the revised chains; of the generator alone; and the two chains as the last iteration made them,
normalised by their own batch, which is what the publication's code shows."""
REVISED, GENERATOR, CHAINS = NETWORKS.values()

CONTROLS = ("later-real", "reversed-real", "copy", "mean-frame", "shuffled-frames", "white-noise")
RECONSTRUCTED = {name: f"{name}, reconstructed" for name in ("lds", "hosvd", "hosvd, uncentred")}
"""Rows that are no synthesis: the observed frames themselves, as the model's pictures show them."""

WORDS = "words"
"""The row of what no command can write."""
