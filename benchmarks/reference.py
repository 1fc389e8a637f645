"""The paper's networks and one cooperative iteration, written the obvious way.

Nothing here is shared with :mod:`dyntex.networks.layers` or :mod:`dyntex.coopnets.train`: ``nn.Conv3d``,
``nn.ConvTranspose3d``, ``nn.BatchNorm3d`` and Adam on contiguous float32 tensors, as one would first write Xie et al.
(2020), algorithm 1. It is what the toolkit's speed is measured against, and what its numbers are checked against.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.state import TrainState
from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, ConvGeneratorConfig, Head, Layer
from dyntex.networks.layers import FullFrameConv, FullFrameConvTranspose

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}


class Reference:
    """The networks of a paper preset, their optimisers, and the stages of an iteration.

    Args:
        config: of one head with one end, a white reference, no condition, and layers as the paper has them.
        shape: (C, T, H, W) of the clip.
        device: of the networks, whose weights are not set before :meth:`copy`.

    Raises:
        UsageError: the config is not of that kind.
    """

    def __init__(
        self, config: CoopConfig, shape: tuple[int, int, int, int], *, device: torch.device | str = "cpu"
    ) -> None:
        head, generator = parts(config)
        self.config = config
        self.n_frames = shape[1]
        # Built without numbers, because PyTorch's own initial weights are drawn from the global generator.
        with torch.device("meta"):
            des, gen = _descriptor(head.layers, shape), _generator(generator, shape[0])
        self.des, self.gen = des.to_empty(device=device), gen.to_empty(device=device)
        for module in self.gen:
            if isinstance(module, nn.BatchNorm3d):
                module.reset_parameters()
        self.opt_des = torch.optim.Adam(
            self.des.parameters(), lr=config.optimisation.lr_des, betas=(config.optimisation.beta1, 0.999)
        )
        self.opt_gen = torch.optim.Adam(
            self.gen.parameters(), lr=config.optimisation.lr_gen, betas=(config.optimisation.beta1, 0.999)
        )

    def latent_shape(self) -> tuple[int, int, int, int]:
        """(D, T', 1, 1) of the shortest latent whose clip has the frames."""
        config = cast(ConvGeneratorConfig, self.config.generator)
        depth, n = config.latent[0], 1
        with torch.device("meta"):
            gen = _generator(config, 1)
            while gen(torch.empty(1, depth, n, 1, 1)).shape[2] < self.n_frames:
                n += 1
        return (depth, n, 1, 1)

    def copy(self, t: TrainState) -> None:
        """Take over the weights of the toolkit's networks."""
        for nets in ((self.des, t.des.heads[0].trunk), (self.gen, t.gen.layers)):
            convolutions = [m for m in nets[0] if isinstance(m, nn.Conv3d | nn.ConvTranspose3d)]
            for mine, theirs in zip(convolutions, cast(nn.ModuleList, nets[1]), strict=True):
                mine.weight.data.copy_(_as_conv3d(theirs))
                cast(Tensor, mine.bias).data.copy_(cast(Tensor, theirs.bias))
        norms = [m for m in self.gen if isinstance(m, nn.BatchNorm3d)]
        for norm, theirs in zip(norms, cast(nn.ModuleList, t.gen.norms), strict=False):
            norm.bias.data.copy_(cast(Tensor, theirs.shift))

    def generate(self, z: Tensor) -> Tensor:
        """G0: y_gen = g(z)."""
        return cast(Tensor, self.gen(z))[:, :, : self.n_frames]

    def energy(self, y: Tensor) -> Tensor:
        """U = |y|^2 / 2 s^2 - f(y) of each sample."""
        reference = y.square().sum((1, 2, 3, 4)) / (2.0 * self.config.descriptor.ref_std**2)
        return reference - cast(Tensor, self.des(y)).sum((1, 2, 3, 4))

    def revise(self, y: Tensor, *, n_steps: int, rng: torch.Generator) -> Tensor:
        """D1: y <- y - step^2 / 2 dU/dy + step N(0, I)."""
        y, step = y.detach(), self.config.sampling.step
        for _ in range(n_steps):
            y.requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.energy(y).sum(), y)
            y = y.detach() - 0.5 * step**2 * gradient
            y += step * torch.randn(y.shape, generator=rng, device=y.device)
        return y.detach()

    def learn_descriptor(self, y_obs: Tensor, y_rev: Tensor) -> None:
        """D2: gradients of mean f(y_rev) - mean f(y_obs)."""
        self.opt_des.zero_grad()
        f = cast(Tensor, self.des(torch.cat((y_obs, y_rev)))).sum((1, 2, 3, 4))
        (f[len(y_obs) :].mean() - f[: len(y_obs)].mean()).backward()  # type: ignore[no-untyped-call]

    def learn_generator(self, y_gen: Tensor, y_rev: Tensor) -> None:
        """G2: gradients of |y_rev - g(z)|^2 / 2 gen_std^2, the mean over pixels."""
        self.opt_gen.zero_grad()
        ((y_rev - y_gen).square().mean() / (2.0 * self.config.optimisation.gen_std**2)).backward()  # type: ignore[no-untyped-call]

    def update(self) -> None:
        """One step of both optimisers."""
        self.opt_des.step()
        self.opt_gen.step()


def parts(config: CoopConfig) -> tuple[Head, ConvGeneratorConfig]:
    """The head and the generator of a preset that has a reference.

    Raises:
        UsageError: it has none.
    """
    (head, *others), generator = config.descriptor.heads, config.generator
    if others or head.ends != ((),) or config.descriptor.reference != "white" or max(head.pool) > 1:
        raise UsageError(f"preset {config.preset!r} has no reference implementation: choose one of paper-*")
    if generator.keeps_pixels or not generator.lacks:
        raise UsageError(f"preset {config.preset!r} has no reference implementation: choose paper-fc64 or -fc128")
    return head, cast(ConvGeneratorConfig, generator)


class Pad(nn.Module):
    """Zeros around (T, H, W), or as many positions fewer."""

    def __init__(self, *ends: int) -> None:
        super().__init__()
        self.ends = ends

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.ends)


def _descriptor(layers: tuple[Layer, ...], shape: tuple[int, int, int, int]) -> nn.Sequential:
    net = nn.Sequential()
    channels, *extent = shape
    for layer in layers:
        kernel = [n if k == FULL else int(k) for n, k in zip(extent, layer.kernel, strict=True)]
        ends = _ends(kernel, layer)
        net.append(Pad(*ends))
        net.append(nn.Conv3d(channels, layer.channels, tuple(kernel), layer.stride))  # type: ignore[arg-type]
        net.append(ACTIVATIONS[layer.activation]())
        padded = [n + ends[4 - 2 * i] + ends[5 - 2 * i] for i, n in enumerate(extent)]
        extent = [(n - k) // s + 1 for n, k, s in zip(padded, kernel, layer.stride, strict=True)]
        channels = layer.channels
    return net


def _generator(config: ConvGeneratorConfig, clip_channels: int) -> nn.Sequential:
    net = nn.Sequential()
    channels = config.latent[0]
    for layer in config.layers:
        kernel = [int(k) for k in layer.kernel]
        channels_out = layer.channels or clip_channels
        net.append(
            nn.ConvTranspose3d(channels, channels_out, tuple(kernel), layer.stride, output_padding=layer.extra)  # type: ignore[arg-type]
        )
        net.append(Pad(*(-n for n in _ends(kernel, layer))))
        if layer.batch_norm:
            norm = nn.BatchNorm3d(channels_out, eps=1e-3, momentum=0.05)
            norm.weight.requires_grad_(False)
            net.append(norm)
        net.append(ACTIVATIONS[layer.activation]())
        channels = channels_out
    return net


def _ends(kernel: list[int], layer: Layer) -> list[int]:
    """Padding before and after W, H and T, as ``F.pad`` wants it; "same" is TensorFlow's."""
    if layer.padding == "valid":
        return [0] * 6
    if layer.padding == "same":
        totals = [max(k - s, 0) for k, s in zip(kernel, layer.stride, strict=True)]
        return [n for total in reversed(totals) for n in (total // 2, total - total // 2)]
    return [n for p in reversed(layer.padding) for n in (p, p)]


def _as_conv3d(layer: nn.Module) -> Tensor:
    """A layer's weight in the layout of ``nn.Conv3d``, or of ``nn.ConvTranspose3d``."""
    weight = cast(Tensor, layer.weight).detach()
    if isinstance(layer, FullFrameConv):
        return weight[[layer.order.index(k) for k in range(len(weight))]].permute(1, 4, 0, 2, 3)
    if isinstance(layer, FullFrameConvTranspose):
        return weight.permute(4, 1, 0, 2, 3)
    return weight
