"""A shot-noise texture: a clip's own frames, mixed by sparse noise. Closed form, fitted in about a second.

The spot-noise model of still textures (van Wijk 1991; Galerne, Gousseau, Morel, "Random phase textures: theory and
synthesis", 2011), along time: with the clip's frames as deviations d_0 ... d_{T-1} from their mean and white noise e,

    y_t = mean + sum_k d_k e_{t-k} / n_t,

a transposed convolution from one latent channel whose kernel is the clip. With e Gaussian and n = sqrt(T) it is the
Gaussian dynamic texture: stationary, of any length, and its mean and space-time autocovariance at every lag up to T
are the clip's (Xia, Ferradans, Peyre, Aujol, "Synthesizing and mixing stationary Gaussian texture models", 2014). The
motion has the right speed and direction, and what stands still stays still. A linear dynamical system approximates
the same moments with n states.

Four steps then leave the Gaussian.

1. The noise is sparse, e ~ exp(s z) - 1 of a Gaussian z: it stays white, and at any time a few stretches of the clip
   make most of the picture, so that flames and ripples keep their shapes where a dense mixture would average them away
   (a shot noise; n_t keeps its power even).
2. Overlapping regions of the frame have noises of their own: far parts of the frame move independently, as they mostly
   do, and what comes out is less of a copy.
3. Each pixel's values go through a monotone curve that gives them the distribution that the clip has there (a
   translation process, Grigoriu 1984): flames are bright and rare, not a haze around their mean.
4. Not RGB is mixed but brightness and colour's distance from the clip's own ramp (:mod:`dyntex.textures.colour_ramp`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.errors import UsageError
from dyntex.textures.colour_ramp import ColourRamp
from dyntex.textures.config import ShotNoiseConfig
from dyntex.textures.marginals import gaussian_levels, in_order, levels_of, through_levels
from dyntex.textures.quilting import Quilt, quilt, smallest
from dyntex.textures.windows import fade, overlapping, smoothed, supports

CHUNK = 64
"""Frames that a stream makes at a time."""
STILL = 0.02
"""Standard deviation, in [-1, 1], below which a pixel counts as standing still: two or three grey levels."""
BEYOND = 0.1
"""How far past the seen extremes a value may go, as a share of their distance."""
APART = 1e-3
"""Least distance of neighbouring levels of the mixture's values, whose standard deviation is 1."""
LEAST_POWER = 0.01
"""Mean square of the noise below which sparse noise is no longer brought to an even power: it fades to nothing."""
LARGEST = 6.0
"""No Gaussian noise is greater; a search for the noise of given frames may try it, and must not overflow."""
LENGTHS = 6
"""How many times the clip's length of the mixture is made to see how its values are distributed,"""
BAND = 16
"""and how many rows of it at a time, for the memory's sake."""
SLOW = 0.4
"""Brightness and activity that vary over this share of the frame belong to the place, and not to the texture."""


class ShotNoise(nn.Module):
    """The texture of one clip. It has buffers and no parameters: nothing here is trained.

    Args:
        config: the regions, the noise and the curves.
        video: (C, T, H, W), the clip; or a shape alone (on the meta device), where a checkpoint fills it in.

    Raises:
        UsageError: more levels are asked for than the clip has frames.
    """

    mean: Tensor
    spread: Tensor
    kernel: Tensor
    windows: Tensor
    mixture_levels: Tensor
    clip_levels: Tensor
    bounds: Tensor

    def __init__(self, config: ShotNoiseConfig, video: Tensor) -> None:
        super().__init__()
        channels, taps, height, width = video.shape
        if not 2 <= config.levels <= taps:
            raise UsageError(
                f"{config.levels} levels cannot be fitted to {taps} frames: give 2 levels or more, and as many frames"
            )
        self.config = config
        self.taps = taps
        frame = (channels, height, width)
        self.register_buffer("mean", torch.zeros(frame))
        self.register_buffer("spread", torch.zeros(frame))
        self.register_buffer("kernel", torch.zeros(taps, *frame))
        self.register_buffer("windows", torch.zeros(config.regions**2, height, width))
        self.register_buffer("mixture_levels", torch.zeros(config.levels, *frame))
        self.register_buffer("clip_levels", torch.zeros(config.levels, *frame))
        self.register_buffer("bounds", torch.zeros(2, *frame))
        self.colours = ColourRamp(config.colours, video)
        if not video.is_meta:
            self._fit(self.colours.from_rgb(video[None])[0].transpose(0, 1))

    @property
    def n_regions(self) -> int:
        """R, how many noises there are."""
        return len(self.windows)

    def n_frames(self, latent_frames: int) -> int:
        """How many frames a noise of that length gives."""
        return latent_frames - self.taps + 1

    def forward(self, z: Tensor, *, periodic: tuple[bool, bool, bool] = (False, False, False)) -> Tensor:
        """Gaussian noise (B, R, T + taps - 1) -> (B, C, T, H, W); see :meth:`mix` for what a loop uses of it."""
        mixture = self.mix(self._around(z, periodic[1:]), periodic=periodic[0])
        return self.colours.to_rgb(self.match_marginals(mixture))

    @torch.no_grad()
    def stream(self, n_frames: int, *, rng: torch.Generator, loop: bool = False) -> Iterator[Tensor]:
        """New frames in chunks (1, C, t, H, W), in constant memory; a loop comes in one piece."""

        def noise(n: int) -> Tensor:
            return torch.randn((1, self.n_regions, n), generator=rng, device=rng.device).to(self.mean.device)

        if loop:
            yield self(noise(n_frames + self.taps - 1), periodic=(True, False, False))
            return
        held = noise(self.taps - 1)  # what the first frame depends on, less its own
        for start in range(0, n_frames, CHUNK):
            z = torch.cat((held, noise(min(CHUNK, n_frames - start))), dim=2)
            yield self(z)
            held = z[:, :, z.shape[2] - (self.taps - 1) :]

    def _around(self, z: Tensor, periodic: Sequence[bool]) -> Tensor:
        """Where the frame's ends meet, the regions there share their noise: (B, R, T') -> the same."""
        n = self.config.regions
        rows, columns = (torch.arange(n) % max(1, n - wrap) for wrap in periodic)
        return z[:, (rows[:, None] * n + columns).flatten()]

    def mix(self, z: Tensor, *, periodic: bool = False) -> Tensor:
        """The mixture, of mean 0 and variance 1: Gaussian noise (B, R, T') -> (B, C, T, H, W).

        A loop has the noise of T times, over and over: the end leads into the beginning exactly. One shorter than the
        clip has a still picture besides, with the rest of the noise; see :func:`on_circle`.
        """
        n_frames = self.n_frames(z.shape[2])
        if not periodic:
            return self._convolve(z, self.kernel)
        around = z[:, :, torch.arange(1 - self.taps, n_frames, device=z.device) % n_frames]
        if n_frames >= self.taps:
            return self._convolve(around, self.kernel)
        moving, still = on_circle(self.kernel, n_frames)
        # The mean square of few sparse numbers is mostly small, since the rare large one is among many: the least
        # power has to shrink with their number, or a short loop would fade half of the time.
        moved = self._convolve(around, moving, least_power=LEAST_POWER * n_frames / self.taps)
        return moved + self._convolve(F.pad(z[:, :, n_frames:], (0, 1)), still)

    def match_marginals(self, g: Tensor) -> Tensor:
        """The clip's distribution at each pixel for that of the mixture: (B, C, T, H, W) -> the same."""
        bounds, levels = (self.mean + self.spread * part for part in (self.bounds, self.clip_levels))
        return through_levels(g, self.mixture_levels, levels, bounds)

    def _convolve(self, z: Tensor, frames: Tensor, *, least_power: float = LEAST_POWER) -> Tensor:
        """sum_k f_k e_{t-k} n_t of frames (taps, C, H, W), region by region: (B, R, T') -> (B, C, T, H, W)."""
        weights = self._weigh(z, least_power=least_power)
        channels, height, width = self.mean.shape
        n_frames = self.n_frames(z.shape[2])
        g = z.new_zeros(len(z), channels, n_frames, height, width)
        inside = product(*(supports(side, self.config.regions) for side in (height, width)))
        for r, (rows, columns) in enumerate(inside):
            kernel = frames[..., rows, columns] * self.windows[r, rows, columns]  # (taps, C, h, w)
            part = (weights[:, r] @ kernel.flatten(1)).view(len(z), n_frames, *kernel.shape[1:])
            g[..., rows, columns] += part.transpose(1, 2)
        return g

    def _weigh(self, z: Tensor, *, least_power: float = LEAST_POWER) -> Tensor:
        """How much of each of the clip's frames is in each new frame: (B, R, T') -> (B, R, T, taps)."""
        e = sparse(z, self.config.sparsity).unfold(2, self.taps, 1).flip(3)  # e_{t-k} at k
        if not self.config.sparsity:
            return e
        window = fade(self.taps, self.config.fade).to(e)
        power: Tensor = (e * window).square().mean(3, keepdim=True)
        return e * (power + least_power).rsqrt()

    def _fit(self, y: Tensor) -> None:
        """Fit kernel and curves to brightness and colour (T, C, H, W)."""
        _, _, height, width = y.shape
        self.mean.copy_(y.mean(0))
        self.spread.copy_((y - self.mean).square().mean(0).sqrt().clamp_min(STILL))
        window = fade(self.taps, self.config.fade).view(-1, 1, 1, 1)
        # Less the faded mean, so that noise with a mean, as sparse noise has over a while, moves no pixel.
        faded = (y - (y * window).sum(0) / window.sum()) * window
        scale = faded.square().mean(0).sqrt().clamp_min(1e-6)
        # Of variance 1 at every pixel; that what stands still hardly varies is said by its levels.
        self.kernel.copy_(faded / scale / math.sqrt(self.taps))
        self.windows.copy_(overlapping(height, width, self.config.regions))

        ordered = in_order((y - self.mean) / self.spread)
        side = 2 * round(min(height, width) * self.config.smooth / 2) + 1
        self.clip_levels.copy_(smoothed(levels_of(ordered, self.config.levels), side))
        self.mixture_levels.copy_(smoothed(self._see_mixture(), side))
        low, high = smoothed(ordered[0], side), smoothed(ordered[-1], side)
        margin = (high - low) * BEYOND
        self.bounds.copy_(torch.stack((low - margin, high + margin)))

    def _see_mixture(self) -> Tensor:
        """How the mixture's values are distributed at each pixel, as levels (levels, C, H, W)."""
        _, height, _ = self.mean.shape
        if not self.config.sparsity:
            return gaussian_levels(self.taps, self.config.levels).view(-1, 1, 1, 1).expand(-1, *self.mean.shape)
        # Random numbers of its own: what is fitted is a function of the clip alone.
        rng = torch.Generator().manual_seed(0)
        weights = self._weigh(torch.randn(1, self.n_regions, (LENGTHS + 1) * self.taps - 1, generator=rng))[0]
        levels = []
        for rows in (slice(top, top + BAND) for top in range(0, height, BAND)):
            kernel = self.kernel[:, :, rows]
            g = torch.stack([(w @ kernel.flatten(1)).view(-1, *kernel.shape[1:]) for w in weights])
            g = torch.einsum("rtchw,rhw->tchw", g, self.windows[:, rows])
            levels.append(levels_of(in_order(g), self.config.levels))
        # Where the clip stands still all is equal; levels that coincide would divide by zero.
        return torch.cat(levels, dim=2) + APART * torch.arange(self.config.levels).view(-1, 1, 1, 1)

    def clip(self) -> Tensor:
        """The clip that it was fitted to, nearly: (C, T, H, W)."""
        window = fade(self.taps, self.config.fade).to(self.mean).view(-1, 1, 1, 1)
        frames = self.mean + self.spread * self.kernel * math.sqrt(self.taps) / window
        return self.colours.to_rgb(frames.transpose(0, 1)[None])[0]

    def layout(self, height: int, width: int, *, rng: torch.Generator) -> Quilt:
        """Which pixel of a frame of another size is which of this one: pieces that fit their neighbours, on a torus.

        Raises:
            UsageError: the frame is smaller than a piece.
        """
        side = smallest(*self.mean.shape[1:])
        if min(height, width) < side:
            raise UsageError(
                f"--size {height}x{width} is too small to lay pieces of {side} pixels in: ask for {side} or more"
            )
        # The mean frame and the deviations: their squared differences add up to those of the clip's frames.
        mean, spread = without_slow_mean(self.mean), without_slow_scale(self.spread)
        pieces = torch.cat((mean[None], self.kernel * spread)).flatten(0, 1).cpu()
        cpu = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
        return quilt(pieces, height, width, rng=cpu)

    def resized(self, layout: Quilt, *, tile: bool) -> ShotNoise:
        """The same texture in a frame laid out anew, with as many more regions as the frame is larger.

        Args:
            layout: from :meth:`layout`.
            tile: whether the frame's ends are to meet: the first and last regions then share their noise.
        """
        size, device = (layout.height, layout.width), self.mean.device
        grown = max(new / old for new, old in zip(size, self.mean.shape[1:], strict=True))
        config = replace(self.config, regions=math.ceil(self.config.regions * grown) + tile)
        with torch.device("meta"):
            larger = ShotNoise(config, torch.empty(len(self.mean), self.taps, *size))

        def lay(field: Tensor) -> Tensor:
            return layout.lay(field.cpu()).to(device)

        kernel = lay(self.kernel)
        # Where two pieces are blended, their sum varies less than either.
        kernel = kernel / kernel.square().sum(0).sqrt().clamp_min(1e-6)
        state = {
            "mean": lay(without_slow_mean(self.mean)),
            "spread": lay(without_slow_scale(self.spread)),
            "kernel": kernel,
            "windows": overlapping(*size, config.regions).to(device),
            "mixture_levels": lay(self.mixture_levels),
            "clip_levels": lay(self.clip_levels),
            "bounds": lay(self.bounds),
        } | {f"colours.{key}": value for key, value in self.colours.state_dict().items()}
        # Strict: a buffer that is added to this class and forgotten here is an error, not a wrong picture.
        larger.load_state_dict(state, strict=True, assign=True)
        return larger


def on_circle(kernel: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The kernels of a loop of ``n`` frames and of its still part: (taps, C, H, W) -> the same, twice.

    On a circle of n frames those of the clip that are n apart share their noise. They add up to
    D_j = sum_{k = j mod n} d_k, which has the clip's motion at the frequencies that close and none that is slower: of a
    slow clip little is left, and its mean alone. What is slower stands still for n frames, so the loop is given the
    clip's running mean over n frames as one picture. Both together are scaled to the variance 1 at every pixel.

    The still part does without its first frame: a loop leaves taps - 1 latents for it.
    """
    taps = len(kernel)
    around = kernel.new_zeros(n, *kernel.shape[1:])
    around.index_add_(0, torch.arange(taps, device=kernel.device) % n, kernel)
    # Around the clip's end, so that it fades to nothing where the loop becomes as long as the clip.
    sums = torch.cat((torch.zeros_like(kernel[:1]), kernel, kernel[: n - 1])).cumsum(0)
    still = (sums[n:] - sums[:-n]) / n
    still[0] = 0.0
    scale = (around.square().sum(0) + still.square().sum(0)).clamp_min(1e-6).rsqrt()
    return kernel * scale, still * scale


def sparse(z: Tensor, s: float) -> Tensor:
    """(exp(s z) - 1) / s at unit mean square for a standard Gaussian z; z itself in the limit of s = 0."""
    if not s:
        return z
    mean_square = math.exp(2 * s * s) - 2 * math.exp(s * s / 2) + 1
    return torch.expm1(s * z.clamp_max(LARGEST)) / math.sqrt(mean_square)


def without_slow_mean(field: Tensor) -> Tensor:
    """(..., C, h, w) less its local mean, and with its whole one: a shadow in a corner is not laid elsewhere."""
    return field - _slow(field) + field.mean((-1, -2), keepdim=True)


def without_slow_scale(field: Tensor) -> Tensor:
    """Standard deviations (..., C, h, w) over their local root mean square, times the whole one."""
    power = field.square()
    return field * (power.mean((-1, -2), keepdim=True) / _slow(power)).sqrt()


def _slow(field: Tensor) -> Tensor:
    return smoothed(field, 2 * round(SLOW / 2 * min(field.shape[-2:])) + 1)
