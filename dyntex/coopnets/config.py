"""Training settings as values: frozen dataclasses by purpose, JSON in and out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from dyntex import dataclass_json
from dyntex.dataclass_json import to_json
from dyntex.networks.architecture import DescriptorConfig, GeneratorConfig, Precision

__all__ = [
    "CoopConfig",
    "DataConfig",
    "OptimisationConfig",
    "ReplayConfig",
    "SamplingConfig",
    "StabiliserConfig",
    "from_json",
    "to_json",
]


@dataclass(frozen=True)
class DataConfig:
    """What the training sees.

    Attributes:
        size: side of the square frames that the preset is meant for.
        fixed_size: whether it can make no other.
        multiple: of which the sides are multiples.
        n_frames: T of the training clip that the preset asks for by default.
        min_frames: the least that it can be trained on.
        window: frames of the clip that one iteration sees; 0 for all of them.
        crop: side of the square of the frame that it sees, for convolutional networks; 0 for all of the frame.
    """

    size: int = 128
    fixed_size: bool = False
    multiple: int = 1
    n_frames: int = 64
    min_frames: int = 8
    window: int = 0
    crop: int = 0


@dataclass(frozen=True)
class SamplingConfig:
    """The chains: D1, the descriptor's Langevin dynamics of y, and G1, those of z.

    Attributes:
        n_chains: parallel chains.
        n_steps: K, Langevin steps of the descriptor (D1).
        step: delta, the size of a Langevin step, in units of the preconditioner (1 for the paper's).
        temperature: of the Langevin noise; 1 samples the model, 0 descends its energy.
        n_steps_z: Langevin steps that infer z from the revised sample (G1); 0 switches G1 off, as in the paper's code.
        step_z: their size.
    """

    n_chains: int = 2
    n_steps: int = 10
    step: float = 0.002
    temperature: float = 1.0
    n_steps_z: int = 0
    step_z: float = 0.003


@dataclass(frozen=True)
class OptimisationConfig:
    """D2 and G2, the learning of the two networks.

    Attributes:
        iterations: cooperative iterations.
        lr_des, lr_gen: Adam's learning rates.
        beta1: Adam's momentum.
        gen_std: sigma of the generator.
        head_start: share of the training during which only the descriptor learns, so that the generator does not learn
            from one that has seen nothing.
        lr_decay: the learning rates fall linearly to this share of themselves over the second half.
        regression_weight: of the generator's regression beside the chains' loss: the mean of g(z, c) over z is
            fitted to that of the clips of the condition c; 0 for none, as in the paper.
    """

    iterations: int = 1000
    lr_des: float = 0.01
    lr_gen: float = 0.0002
    beta1: float = 0.5
    gen_std: float = 1.0
    head_start: float = 0.0
    lr_decay: float = 1.0
    regression_weight: float = 0.0


@dataclass(frozen=True)
class ReplayConfig:
    """Chains that go on where earlier ones stopped.

    Attributes:
        capacity: how many revised samples are kept; 0 for none, as in the paper.
        reuse: share of the chains that go on from one of them.
    """

    capacity: int = 0
    reuse: float = 0.0


@dataclass(frozen=True)
class StabiliserConfig:
    """What keeps a short training stable; all off in the paper.

    Attributes:
        drift_limit: largest root-mean-square move of a chain by the gradient in one step, in [-1, 1]; 0 for none.
        data_noise: noise on the observed clip at every use, in units of the preconditioner; 0 for none.
        ema: decay of the averaged generator that synthesizes; 0 for none.
    """

    drift_limit: float = 0.0
    data_noise: float = 0.0
    ema: float = 0.0


GROUPS: dict[str, type] = {
    "data": DataConfig,
    "sampling": SamplingConfig,
    "optimisation": OptimisationConfig,
    "replay": ReplayConfig,
    "stabilisers": StabiliserConfig,
}
_GROUP_OF = {field.name: group for group, kind in GROUPS.items() for field in dataclasses.fields(kind)}


@dataclass(frozen=True)
class CoopConfig:
    """One training of the two networks, whole.

    Attributes:
        preset: its name.
        descriptor, generator: the architectures.
        data, sampling, optimisation, replay, stabilisers: the settings by purpose. The defaults are those of the
            paper's code.
        precision: "bf16" rounds what the convolutions of the descriptor and of a convolutional generator multiply, and
            what they hand on; weights, optimisers, sums, samples and the Langevin dynamics are float32 always.
    """

    preset: str
    descriptor: DescriptorConfig
    generator: GeneratorConfig
    data: DataConfig = DataConfig()
    sampling: SamplingConfig = SamplingConfig()
    optimisation: OptimisationConfig = OptimisationConfig()
    replay: ReplayConfig = ReplayConfig()
    stabilisers: StabiliserConfig = StabiliserConfig()
    precision: Precision = "fp32"

    @classmethod
    def of(cls, preset: str, descriptor: DescriptorConfig, generator: GeneratorConfig, **settings: Any) -> Self:
        """A config from settings by their names alone, which differ between the groups: ``of(..., n_chains=4)``."""
        return cls(preset, descriptor, generator).replaced(**settings)

    def replaced(self, **settings: Any) -> Self:
        """The config with some settings changed, each by its name alone: ``replaced(iterations=40, step=0.1)``.

        Raises:
            TypeError: a setting is unknown.
        """
        changes: dict[str, Any] = {}
        for name, value in settings.items():
            group = _GROUP_OF.get(name)
            if group is None:
                changes[name] = value
            else:
                changes[group] = dataclasses.replace(changes.get(group, getattr(self, group)), **{name: value})
        return dataclasses.replace(self, **changes)

    @property
    def least_frames(self) -> int:
        """The shortest clip that can be learnt from."""
        return max(self.data.min_frames, self.data.window)


def from_json(data: Any, *, where: str = "config") -> CoopConfig:
    """The settings that :func:`to_json` wrote.

    Raises:
        UsageError: a key is unknown, missing, or holds a value of another type; the message names it.
    """
    config: CoopConfig = dataclass_json.from_json(data, CoopConfig, where=where)
    return config
