"""What every baseline asks of its input, and the rank rule that they share."""

from __future__ import annotations

from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError

MAX_ORDER = 50  # the literature's largest (Doretto et al. 2003 use 10 to 50 states)


def require_training_frames(clip: Clip, method: str, *, at_least: int = 3) -> None:
    """Raise InputError if a clip is too short to learn a motion from (two transitions, so a residual, take three)."""
    if clip.n_frames < at_least:
        raise InputError(f"clip has {clip.n_frames} frames; {method} needs at least {at_least}: give it a longer clip")


def require_length(n_frames: int) -> None:
    """Raise UsageError if that many frames cannot be made."""
    if n_frames < 1:
        raise UsageError(f"{n_frames} frames were asked for; ask for at least 1")


def require_size(clip: Clip, channels: int, height: int, width: int) -> None:
    """Raise InputError if a clip's frames are not of the size that the model was fitted on."""
    if (clip.channels, clip.height, clip.width) != (channels, height, width):
        raise InputError(
            f"frames are {clip.channels}x{clip.height}x{clip.width}, but the model was fitted on "
            f"{channels}x{height}x{width}: resize them"
        )


def require_rank(rank: int, limit: int, what: str) -> int:
    """``rank`` itself; UsageError if it is not within 1 and ``limit``."""
    if not 1 <= rank <= limit:
        raise UsageError(f"{rank} {what} were asked of a clip that has between 1 and {limit}: choose one of those")
    return rank


def require_share(share: float, name: str) -> float:
    """``share`` itself; UsageError if it is not above 0 and at most 1."""
    if not 0 < share <= 1:
        raise UsageError(f"{name} is {share:g}; it is a share, above 0 and at most 1: 0.95 asks for 95 %")
    return share


def order_cap(n_frames: int) -> int:
    """The largest order that a rule may choose: a third of the frames, and at most 50.

    n states have n^2 numbers in A to learn from n (T-1) equations. At n = T-1 the fit is exact whatever the clip, so
    the residual is zero and the model replays what it saw; a third leaves each row of A three equations an unknown.
    """
    return max(1, min(MAX_ORDER, n_frames // 3))


def smallest_rank(singular_values: Tensor, share: float) -> int:
    """The least r whose r largest singular values (descending) hold ``share`` of the sum of all squares; at least 1."""
    energy = singular_values.double().square().cumsum(0)
    # energy < share * total counts the ranks that fall short; rounding may put the last one short of share = 1.
    return min(len(energy), 1 + int((energy < share * energy[-1]).sum()))
