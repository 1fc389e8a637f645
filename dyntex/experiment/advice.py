"""``--method auto``: the method that is expected to be best for a source, by what its frames look like."""

from __future__ import annotations

from pathlib import Path

from dyntex.clip import Clip
from dyntex.coopnets.presets import FAST
from dyntex.coopnets.segments import MIN_FRAMES, MIN_SIDE
from dyntex.experiment.methods import COOP, SEGMENTS
from dyntex.media import is_set, probe, read_clip
from dyntex.textures.recommend import Recommendation, recommend

AUTO = "auto"
"""In place of a method's name."""
SIDE = 64
"""Pixels a side at which a source is looked at."""


def choose_method(
    source: str | Path | Clip,
    *,
    start: int = 0,
    n_frames: int | None = None,
    networks: bool = False,
    draft: bool = False,
) -> tuple[str, str | None]:
    """The method for ``--method auto``, and why, where that does not follow from what was asked.

    Args:
        source: to be learnt.
        start, n_frames: which frames of it; by default as many as the default preset learns.
        networks: whether something is asked that only cooperative networks have.
        draft: whether nothing may be trained.

    Raises:
        InputError: the source cannot be read.
    """
    if networks:
        return COOP, None
    if isinstance(source, Clip):
        clip = source.segment(start, min(n_frames or source.n_frames, source.n_frames - start))
    elif is_set(str(source)) or probe(str(source)).n_frames == 1:
        return COOP, f"--method auto takes {COOP}: {source} is no single clip"
    else:
        clip = read_clip(str(source), size=SIDE, start=start, n_frames=n_frames or FAST.data.n_frames)
    if clip.n_frames == 1:
        return COOP, f"--method auto takes {COOP}: there is one frame to learn from"
    if not draft and clip.n_frames >= MIN_FRAMES and min(clip.height, clip.width) >= MIN_SIDE:
        return SEGMENTS, f"--method auto takes {SEGMENTS}, whose generator is chosen by a critic"
    found = recommend(clip)
    return found.method, f"--method auto takes {found.method}: {in_words(found)}"


def in_words(found: Recommendation) -> str:
    """The reason, with the numbers."""
    if found.mixing is None or found.return_cost is None:
        return found.reason
    return (
        f"{found.reason} (mixed frames are {found.mixing:.1f} times as foreign to the clip as its own, "
        f"a jump costs {found.return_cost:.2f} of the distance of any two frames)"
    )
