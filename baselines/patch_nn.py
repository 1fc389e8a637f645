"""Patch nearest neighbours: every space-time patch of the result is one of the clip's, at every scale.

After Haim, Feinstein, Granot, Shocher, Bagon, Dekel, Irani, "Diverse generation from a single video made possible"
(2021), which carries Granot et al., "Drop the GAN" (CVPR 2022), over to video. From a coarse scale to the finest: what
was made is enlarged; each of its patches is replaced by the clip's nearest one; where patches overlap they vote; and
again. Noise at the coarsest scale makes the difference. Taken from there:

* nearest by the squared distance over alpha + the least distance of that patch of the clip to any of the result
  (bidirectional similarity, Simakov et al., CVPR 2008): what the result does not show yet is preferred;
* at each scale the first search is in the clip enlarged from the scale below, as blurred as what is sought;
* the search is PatchMatch's, weighed likewise, from what was found at the scale below.

Departures: what is enlarged first is not the clip itself but a video texture of it
(:mod:`dyntex.baselines.video_texture`), so that there is a beginning of any length, and a closed one for loops; patches
are compared by principal components; and they have 5 frames, since with 3 the votes take a tenth off the motion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain as chained
from itertools import islice
from typing import Any, Self

import torch
from torch import Tensor

from dyntex.baselines.common import CLOSED_FORM, blocks, require_size, require_training_frames
from dyntex.baselines.frame_loops import closed_walk, walk
from dyntex.baselines.patch_match import Basis, Size, fit_basis, nearest, rescaled, resized, spread, vote
from dyntex.baselines.video_texture import VideoTexture
from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.method import Capabilities, Method

NO_PREDICTION = "it draws samples, whose expectation has no closed form"
CHUNK = 64
"""Frames that are made at a time."""
WHOLE = 96
"""Loops of up to so many frames are made in one piece, in which time is a circle."""


@dataclass(frozen=True)
class PatchNNConfig:
    """The pyramid and the patches.

    Attributes:
        patch: frames, rows and columns of a patch; rows and columns odd.
        factor: of the size of a scale to that of the next, along rows, columns and frames.
        coarsest: no scale's shorter side has fewer pixels.
        coarsest_frames: at no scale has the clip fewer frames.
        noise: its standard deviation at the coarsest scale, in standard deviations of each pixel over time. A patch has
            hundreds of values, so that it is known again through noise of 1; of 4 a pot in a fire came apart.
        alpha: in mean squares of units of [-1, 1]: the smaller, the more the result has to show all of the clip.
        rounds: of search and vote, at the coarsest scale and at each other.
    """

    patch: tuple[int, int, int] = (5, 5, 5)
    factor: float = 0.75
    coarsest: int = 12
    coarsest_frames: int = 8
    noise: float = 2.0
    alpha: float = 0.005
    rounds: tuple[int, int] = (6, 2)

    def check(self) -> None:
        """Raise UsageError if a number is out of its range."""
        if min(self.patch) < 1 or not all(side % 2 for side in self.patch[1:]):
            raise UsageError(f"a patch of {self.patch} was asked for: give frames, and odd numbers of rows and columns")
        if not 0 < self.factor < 1:
            raise UsageError(f"factor is {self.factor:g}; a scale is smaller than the next: give a number in (0, 1)")
        if not (self.noise >= 0 and self.alpha > 0):
            raise UsageError(f"noise is {self.noise:g} and alpha {self.alpha:g}: give 0 or more, and more than 0")
        if min(self.coarsest, self.coarsest_frames, *self.rounds) < 1:
            raise UsageError("coarsest, coarsest_frames and both rounds are counts: give 1 or more")


@dataclass(frozen=True)
class Scale:
    """The clip at one scale.

    Attributes:
        video: ``(C, T, H, W)``.
        blurred: the same, enlarged from the scale below; at the coarsest scale it is ``video``.
        basis: of its patches.
    """

    video: Tensor
    blurred: Tensor
    basis: Basis


@dataclass(frozen=True)
class PatchNN(Method):
    """A fitted method: the clip at all scales.

    Attributes:
        scales: from the coarsest to the clip's own.
        beginning: what is enlarged first.
        config: the settings.
        fps: frames per second.
    """

    scales: tuple[Scale, ...]
    beginning: VideoTexture
    config: PatchNNConfig
    fps: Fraction

    @classmethod
    def capabilities(cls, config: Any = None) -> Capabilities:
        """All but predictions, tiles, other sizes and sets of clips; and it replays, in pieces."""
        return Capabilities({**CLOSED_FORM.lacks, "predict": NO_PREDICTION}, replays=True)

    @classmethod
    def fit(cls, clip: Clip, config: PatchNNConfig = PatchNNConfig(), *, rng: torch.Generator) -> Self:
        """Make the pyramid; nothing is learnt.

        Args:
            clip: at least 3 frames.
            config: the pyramid and the patches.
            rng: draws the patches whose principal components are taken.

        Raises:
            InputError: the clip is too short.
            UsageError: a number of the config is out of its range.
        """
        require_training_frames(clip, "patch-nn")
        config.check()
        shapes = [(clip.n_frames, clip.height, clip.width)]
        while True:
            T, H, W = shapes[0]
            h, w, t = (round(n * config.factor) for n in (H, W, T))
            if min(h, w) < config.coarsest:
                break
            shapes.insert(0, (t if t >= config.coarsest_frames else T, h, w))
        limits = (min(shape[0] for shape in shapes), *((n + 1) // 2 * 2 - 1 for n in shapes[0][1:]))
        size = Size(*(min(side, limit) for side, limit in zip(config.patch, limits, strict=True)))
        scales: list[Scale] = []
        for shape in shapes:
            video = resized(clip.video, shape).clone()
            blurred = resized(scales[-1].video, shape) if scales else video
            scales.append(Scale(video, blurred, fit_basis(video, size, rng=rng)))
        return cls(tuple(scales), VideoTexture.fit(clip, rng=rng), config, clip.fps)

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of: the clip, from which all else follows."""
        return self.beginning.n_parameters

    def stream(
        self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Iterator[Clip]:
        """``n_frames`` new frames in chunks, in constant memory (of a loop, the order of its beginning is kept).

        Each chunk is made with the last frames before it, which are held as they are at every scale, and with a few
        frames after it, which are then made anew.

        Args:
            n_frames: how many.
            rng: draws the beginning, the noise and where PatchMatch looks.
            anchor: its first frame is the first one.
            loop: whether the last frame leads into the first. Up to 96 frames are made in one piece around a circle; of
                more, the last chunk is made with the first frames after it, held likewise.
        """
        chunks = blocks(n_frames, CHUNK)
        if anchor is not None:
            C, _, H, W = self.beginning.video.shape
            require_size(anchor, C, H, W)
        first = None if anchor is None else anchor.video[:, :1].clone()
        return self._stream(n_frames, chunks, first, loop, rng)

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """Refused: :data:`NO_PREDICTION`.

        Raises:
            UsageError: always.
        """
        self.capabilities().require("predict", asked="a prediction", method="patch-nn")
        raise AssertionError

    def _stream(
        self, n_frames: int, chunks: Iterator[range], first: Tensor | None, loop: bool, rng: torch.Generator
    ) -> Iterator[Clip]:
        texture, none = self.beginning, self.beginning.video[:, :0]
        held = none if first is None else first
        state = None if first is None else self._state(first)
        if loop:
            jumps, shown = closed_walk(
                texture.chain, texture.costs, n_frames, half=texture.half, power=texture.power, first=state, rng=rng
            )
            if n_frames <= WHOLE:
                made = self.made(texture.render(jumps, shown).video, held, none, periodic=True, rng=rng)
                yield from (Clip(part, self.fps) for part in torch.split(made, CHUNK, dim=1))
                return
        overlap = max(1, 2 * (self.config.patch[0] - 1))
        start = none
        for part in chunks:
            last = part.stop == n_frames
            # Frames after the chunk: some that are thrown away, or those that a loop began with.
            after = start if loop and last else none
            beyond = overlap if loop and last else overlap // 2
            if loop:
                around = torch.arange(part.start, part.stop + beyond) % n_frames
                coming = texture.render(jumps, shown[around]).video
            else:
                # It goes on from where the last chunk has got to, which need not be where its beginning was.
                state = self._state(held) if part.start else state
                places = chained.from_iterable(places for _, places in walk(texture.chain, first=state, rng=rng))
                drawn = list(islice(places, 1 if part.start else 0, len(part) + beyond + (1 if part.start else 0)))
                coming = texture.render(texture.chain.jumps, torch.tensor(drawn)).video
            before = held.shape[1] if part.start else 0
            made = self.made(torch.cat([held[:, :before], coming], dim=1), held, after, rng=rng)
            made = made[:, before : before + len(part)]
            yield Clip(made.clone(), self.fps)
            start = start if part.start else made[:, :overlap]
            held = made[:, -overlap:]

    def _state(self, held: Tensor) -> int:
        """The frame of the clip that is reached as the last of ``(C, m, H, W)`` frames is: those before are alike, too.

        Only frames that the beginning comes back to are taken: from one near the clip's end it would have to cut.
        """
        n = min(3, held.shape[1])
        mine, theirs = (y.transpose(0, 1).flatten(1).double() for y in (self.beginning.video, held[:, -n:]))
        squared = torch.cdist(theirs, mine).square()  # (n, T)
        # Of frames before the clip's first nothing is known.
        total = torch.stack([squared[n - 1 - k].roll(k) for k in range(n)]).sum(dim=0)
        possible = self.beginning.chain.stationary > 0
        possible[: n - 1] = False
        if not possible.any():
            possible[n - 1 :] = True
        return int(torch.where(possible, total, torch.inf).argmin())

    def made(
        self, base: Tensor, before: Tensor, after: Tensor, *, periodic: bool = False, rng: torch.Generator
    ) -> Tensor:
        """New frames from a base ``(C, n, H, W)`` that is changed at the coarsest scale; the same shape, in [-1, 1].

        Args:
            base: what the result is like at the coarsest scale, but for the noise.
            before, after: ``(C, m, H, W)``, the first and the last frames of the result, held as they are; m may be 0.
            periodic: whether time is a circle.
            rng: of the noise and the searches.
        """
        n_frames, clip_frames = base.shape[1], self.scales[-1].video.shape[1]
        m, after_m = before.shape[1], after.shape[1]
        size = self.scales[0].basis.size
        # What is shorter than a patch is the beginning of something longer.
        short = 0 if periodic else max(0, size.t - n_frames)
        base = torch.cat(
            [before, base[:, m : n_frames - after_m], after, base[:, -1:].expand(-1, short, -1, -1)], dim=1
        )
        total = base.shape[1]
        y, found = base, None
        for i, scale in enumerate(self.scales):
            T, H, W = scale.video.shape[1:]
            n = max(min(size.t, total), round(total * T / clip_frames))
            seen = resized(base, (n, H, W))
            first, last = m * n // total, n - after_m * n // total  # what of a scale is held as a whole
            y = resized(y, (n, H, W)).clone()
            if i == 0 and self.config.noise:
                std = scale.video.std(dim=1, keepdim=True, correction=0)
                y += self.config.noise * std * torch.randn(y.shape, generator=rng, device=rng.device).cpu()
            keys = scale.basis.components(scale.video)
            for r in range(self.config.rounds[min(i, 1)]):
                y[:, :first], y[:, last:] = seen[:, :first], seen[:, last:]
                queries = scale.basis.components(y, periodic=periodic)
                among = keys if r or not i else scale.basis.components(scale.blurred)
                shapes = tuple(queries.shape[:3]), tuple(among.shape[:3])
                if found is None:
                    found = spread(*shapes), spread(*shapes[::-1])
                elif found[0].shape[1:] != shapes[0]:
                    old = [tuple(field.shape[1:]) for field in found]
                    found = rescaled(found[0], *shapes, old[1]), rescaled(found[1], *shapes[::-1], old[0])
                back, least = nearest(among, queries, found[1], rng=rng)
                scarce = 1 / (self.config.alpha + least.flatten())
                at, _ = nearest(queries, among, found[0], scale=scarce, periodic=periodic, rng=rng)
                found = at, back
                y = vote(scale.video, at, size, periodic=periodic)
        y[:, :m], y[:, total - after_m :] = before, after
        return y[:, :n_frames].clamp(-1.0, 1.0)
