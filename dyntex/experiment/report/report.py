"""``report.html``, written into a run's folder from what lies there and from the clips themselves."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyntex.clip import Clip
from dyntex.experiment.report.curves import curves, read_journal
from dyntex.experiment.report.page import (
    code,
    data_uri,
    figure,
    file_uri,
    heading,
    hidden,
    image,
    page,
    pairs,
    paragraph,
    png_uri,
    table,
    video,
)
from dyntex.experiment.report.slices import GREY, repeated, sections, strip
from dyntex.media import flatten, write_clip
from dyntex.media.atomic import atomic

REPORT = "report.html"
MOST_BYTES = 6 * 2**20
"""A file is put into the page up to this size: a third is added by base64, and mail takes 10 to 25 MB."""
MOST_PIXELS = 2**22
"""Of the video that plays a loop: 3 x 64 frames of 128x128 are three quarters of it, and take about two seconds."""
MOST_FRAMES = 192
"""Of a section through time."""
TIMES = 3
QUALITY = 20  # H.264's rate factor of the loop's video
SIDE = 260  # pixels of the page: about the width of a frame
SECTIONS = 440  # of a frame with its sections: two fit beside each other
PRIVATE = ("command", "platform", "memory_bytes")
"""What ``env.json`` says about the machine, among it names of folders; the page is made to be shared."""

BASE_STYLE = Path(__file__).with_name("report.css")
"""The sheet of every report; a kind of report may add to it."""


@dataclass(frozen=True)
class ReportFacts:
    """What a report shows beside its pictures and the files of the run folder.

    Nothing here may hold a path of the machine: the page is made to be shared.

    Attributes:
        title: of the page.
        summary: a sentence on what was made of what.
        command: as it was typed, without folders.
        settings: by name, what the result depends on; None is left out.
        seconds: wall time by stage.
        seams: by axis (t, y, x), the fields of :class:`dyntex.textures.loop_seam.Seam`.
        scores: the statistics score of the result and of the controls, by name; 1 is as far as real is from real, and
            lower is better.
        copy_distance: of the result, where there are scores: 0 for a replay, about 1 for new footage.
        outputs: files of the run's folder that the page names: the result and what lies beside it.
        more: the command that makes another video from the model; empty where there is none.
    """

    title: str
    summary: str
    command: str
    settings: Mapping[str, object]
    seconds: Mapping[str, float]
    seams: Mapping[str, Mapping[str, Any]]
    scores: Mapping[str, float]
    outputs: tuple[Path, ...]
    more: str
    copy_distance: float | None = None


def write_report(
    folder: Path,
    facts: ReportFacts,
    *,
    original: Clip,
    made: Clip,
    side: Path,
    sheet: Path,
    loop: bool = False,
) -> Path:
    """Write ``report.html`` into a run's folder, from whose journal and settings it is made; an older one is replaced.

    Args:
        folder: with ``config.json``, ``env.json`` and ``metrics.jsonl`` where they were kept; what is not there is
            not shown.
        facts: see there.
        original: what was learnt.
        made: the result or, where that is long, its beginning; of a loop all of it. As wide and high as the original
            or not.
        side: the video of both side by side, in the folder.
        sheet: the contact sheet of both, in the folder.
        loop: whether ``made`` leads into its own beginning, and is to be played three times.

    Returns:
        the file. It needs no network and no other file, but for a ``side`` or ``sheet`` too large to be mailed.

    Raises:
        DyntexError: the disk is full or refuses.
    """
    both = original.width + made.width
    body = [
        heading(facts.title, level=1),
        paragraph(facts.summary),
        code(facts.command),
        heading("Original and result"),
        figure(
            video(_address(side, "video/mp4", folder), width=_enlarged(both, 2 * SIDE)),
            image(_address(sheet, "image/png", folder), alt="frames of the original over frames of the result"),
            caption="At the left, and above, the original; at the right, and below, the result.",
        ),
        *_through_time(original, made),
        *(_loop(made, facts.seams) if loop else ()),
        *_seams(facts.seams),
        *_scores(facts.scores, facts.copy_distance),
        *_training(folder),
        *_more(facts),
        heading("Settings"),
        pairs(facts.settings),
        *_record(folder, facts),
    ]
    style = BASE_STYLE.read_text(encoding="utf-8")
    with atomic(folder / REPORT) as temporary:
        # A file's name may be in another encoding than UTF-8.
        text = page(facts.title, body, style=style)
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return folder / REPORT


def _address(path: Path, kind: str, folder: Path) -> str:
    return file_uri(path, kind, most=MOST_BYTES, within=folder)


def _enlarged(width: int, about: int) -> int:
    """The multiple of a width that comes nearest to another: pixels stay squares of one size."""
    return max(1, round(about / width)) * width


def _through_time(original: Clip, made: Clip) -> Iterator[str]:
    n = min(original.n_frames, made.n_frames, MOST_FRAMES)
    yield heading("Through time")
    pictures = []
    for name, clip in (("original", original), ("result", made)):
        cut = sections(clip.segment(0, n))
        width = _enlarged(cut.shape[1], SECTIONS)
        pictures.append(figure(image(png_uri(cut), alt=f"sections of the {name}", width=width), caption=name))
    yield f'<div class="strip">{"".join(pictures)}</div>'
    yield paragraph(
        f"A frame with the sections of {n} frames through time: its middle column at the right, time to the right, and "
        "its middle row below, time downwards. Alike textures have alike sections.",
        soft=True,
    )


def _loop(made: Clip, seams: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    most = max(2, MOST_PIXELS // (made.height * made.width))
    again, starts = repeated(flatten(made, GREY), times=TIMES, most=most)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "loop.mp4"
        write_clip(path, again, quality=QUALITY)
        address = data_uri("video/mp4", path.read_bytes())
    whole = len(starts) == TIMES - 1
    yield heading("The loop, three times" if whole else "The loop's seam")
    wide = strip(again, marks=starts)
    yield figure(
        video(address, width=_enlarged(made.width, SIDE)),
        image(png_uri(wide), alt="section of the loop", width=_enlarged(wide.shape[1], 3 * SIDE)),
        caption=(
            f"{'Three rounds' if whole else 'Its last frames and its first'} in one video, and the middle column over "
            f"time: the marks are where the loop begins again."
        ),
    )


def _seams(seams: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not seams:
        return
    names = {"t": "last frame to first", "y": "bottom to top", "x": "right to left"}
    keys = ("step_percentile", "acceleration_percentile", "own_step_percentile", "own_acceleration_percentile")
    rows = [(names[axis], *(_percentile(seam.get(key)) for key in keys)) for axis, seam in seams.items()]
    head = (
        "seam",
        "step, in the clip",
        "acceleration, in the clip",
        "step, in the result",
        "acceleration, in the result",
    )
    yield table(rows, head=head)
    yield paragraph(
        "Percentiles of the seam among the other places of the clip and of the result: 5 to 95 is ordinary.", soft=True
    )


def _percentile(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _scores(scores: Mapping[str, float], copy_distance: float | None) -> Iterator[str]:
    if not scores:
        return
    yield heading("Score")
    yield table([(name, f"{value:.2f}") for name, value in sorted(scores.items(), key=lambda item: item[1])])
    yield paragraph(
        "How far each is from frames of the clip that were not learnt, in eleven statistics: 1 is as far as real "
        "frames are from real ones, and lower is better. It is the score of one sample; the others are controls.",
        soft=True,
    )
    if copy_distance is not None:
        yield paragraph(
            f"The result's copy distance is {copy_distance:.2f}: 0 would be a replay of the clip, which scores well, "
            "and about 1 is as new as other frames of the scene.",
            soft=True,
        )


def _training(folder: Path) -> Iterator[str]:
    records = read_journal(folder / "metrics.jsonl")
    if records:
        yield heading("Training")
        svg = data_uri("image/svg+xml", curves(records).encode())
        caption = (
            f"{len(records)} iteration{'s' * (len(records) != 1)}. An energy is low where a video looks like the clip; "
            "a gap that oscillates around 0 means that the descriptor can hardly distinguish the two."
        )
        yield figure(image(svg, alt="curves of the training"), caption=caption)


def _more(facts: ReportFacts) -> Iterator[str]:
    if facts.more:
        yield heading("Make more")
        yield paragraph("Beside the folder of this page, this makes another video from the model:")
        yield code(facts.more)


def _record(folder: Path, facts: ReportFacts) -> Iterator[str]:
    yield heading("Seconds")
    yield pairs({stage: f"{value:.1f}" for stage, value in facts.seconds.items()})
    env = _json(folder / "env.json")
    if env:
        yield heading("Made with")
        yield pairs({name: value for name, value in env.items() if name not in PRIVATE})
    yield heading("Files beside this page")
    yield pairs({path.relative_to(folder).as_posix(): f"{_megabytes(path):.2f} MB" for path in facts.outputs})
    config = _json(folder / "config.json")
    if config:
        yield hidden("All settings", code(json.dumps(config, indent=1)))


def _megabytes(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
