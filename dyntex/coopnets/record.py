"""What one iteration of training looked like."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepInfo:
    """One iteration; lengths are in pixel units of [-1, 1].

    Attributes:
        iteration: counted from 1.
        gap: mean f(y_obs) - mean f(y_rev), by which the descriptor separates data from samples; oscillates around 0
            in a healthy training.
        energy: mean U(y_rev).
        gen_loss: mean squared distance of g(z) from the revised sample, over 2 gen_std^2.
        move: root-mean-square distance that the Langevin dynamics moved the samples.
        des_grad, gen_grad: norms of the parameters' gradients.
        chain_difference: mean |difference| between chains, as a share of that between the first chain and the clip;
            0 when all chains are alike.
        frame_step: mean |frame-to-frame step| of the samples, as a share of the clip's; 0 when frozen, 1 when as lively
            as the clip (and for stills).
    """

    iteration: int
    gap: float
    energy: float
    gen_loss: float
    move: float
    des_grad: float
    gen_grad: float
    chain_difference: float
    frame_step: float
