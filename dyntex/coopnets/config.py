"""Training settings as values: frozen dataclasses, JSON in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dyntex import dataclass_json
from dyntex.dataclass_json import to_json
from dyntex.networks.architecture import DescriptorConfig, GaussianTextureConfig, GeneratorConfig, Precision

__all__ = ["CoopConfig", "from_json", "to_json"]


@dataclass(frozen=True)
class CoopConfig:
    """One training of the two networks, whole.

    Attributes:
        preset: its name.
        size: side of the square frames that it is meant for.
        fixed_size: whether it can make no other.
        multiple: of which the sides are multiples.
        n_frames: T of the training clip that the preset asks for by default.
        min_frames: fewer frames than this cannot teach it.
        window: frames of the clip that one iteration sees; 0 for all of them.
        crop: side of the square of the frame that it sees, for convolutional networks; 0 for all of the frame.
        n_chains: parallel Langevin chains.
        iterations: cooperative iterations.
        n_steps: K, Langevin steps of the descriptor (D1).
        step: delta, the size of a Langevin step, in units of the preconditioner (1 for the paper's).
        temperature: of the Langevin noise; 1 samples the model, 0 descends its energy.
        drift_limit: largest root-mean-square move of a chain by the gradient in one step, in [-1, 1]; 0 for none.
        n_steps_z: Langevin steps that infer z from the revised sample (G1); 0 switches G1 off, as in the paper's code.
        step_z: their step size.
        gen_std: sigma of the generator.
        lr_des, lr_gen: Adam's learning rates.
        beta1: Adam's momentum.
        head_start: share of the training during which only the descriptor learns, so that the generator is never taught
            by one that has seen nothing.
        lr_decay: the learning rates fall linearly to this share of themselves over the second half.
        grad_limit: norm to which gradients of the parameters are clipped; 0 for none.
        data_noise: noise on the observed clip at every use, in [-1, 1].
        persistent: share of the chains that go on from earlier revised samples of a replay memory.
        memory: how many revised samples the replay memory holds.
        ema: decay of the averaged generator that synthesizes; 0 for none.
        regress: weight of the generator's regression: the mean of g(z, c) over z learns to be that of the clips of the
            condition c, beside what the chains teach, by which alone it comes to hear a drawing slowly; 0 for none, as
            in the paper.
        precision: "bf16" rounds what the convolutions of the descriptor and of a convolutional generator multiply, and
            what they hand on; weights, optimisers, sums, samples and the Langevin dynamics are float32 always.
    """

    preset: str
    descriptor: DescriptorConfig
    generator: GeneratorConfig | GaussianTextureConfig
    size: int = 128
    fixed_size: bool = False
    multiple: int = 1
    n_frames: int = 64
    min_frames: int = 8
    window: int = 0
    crop: int = 0
    n_chains: int = 2
    iterations: int = 1000
    n_steps: int = 10
    step: float = 0.002
    temperature: float = 1.0
    drift_limit: float = 0.0
    n_steps_z: int = 0
    step_z: float = 0.003
    gen_std: float = 1.0
    lr_des: float = 0.01
    lr_gen: float = 0.0002
    beta1: float = 0.5
    head_start: float = 0.0
    lr_decay: float = 1.0
    grad_limit: float = 0.0
    data_noise: float = 0.0
    persistent: float = 0.0
    memory: int = 0
    ema: float = 0.0
    regress: float = 0.0
    precision: Precision = "fp32"

    @property
    def least_frames(self) -> int:
        """The shortest clip that can be learnt from."""
        return max(self.min_frames, self.window)


def from_json(data: Any, *, where: str = "config") -> CoopConfig:
    """The settings that :func:`to_json` wrote.

    Raises:
        UsageError: a key is unknown, missing, or holds a value of another type; the message names it.
    """
    config: CoopConfig = dataclass_json.from_json(data, CoopConfig, where=where)
    return config
