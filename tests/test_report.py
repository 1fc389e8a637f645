"""The report and the folder that is sent: what the pictures show, that nothing is fetched, and nothing is told."""

from __future__ import annotations

import base64
import json
import re
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from commands import TINY, done, dyntex

from dyntex.benchmarks.data import eight_bits
from dyntex.benchmarks.metrics.statistics import copy_distance, score
from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.errors import DivergedError, InputError, UsageError
from dyntex.examples import make
from dyntex.experiment.bundle import copy_into
from dyntex.experiment.report import ReportFacts, report, write_report
from dyntex.experiment.report.curves import curves, read_journal
from dyntex.experiment.report.page import data_uri, file_uri, page, pairs
from dyntex.experiment.report.slices import GAP, MARK, repeated, sections, strip
from dyntex.experiment.scoring import Scorer
from dyntex.media import read_clip, sheet, side_by_side, write_clip, write_png

RATE = Fraction(25)
SEEN = ("--size", "32", *TINY[2:])
"""The smallest training whose result can be scored."""


def coded(T: int, H: int, W: int) -> Clip:
    """A clip whose pixels say where they are: red the frame, green the row, blue the column."""
    t, y, x = np.meshgrid(range(T), range(H), range(W), indexing="ij")
    return Clip.from_uint8(np.stack([t, y, x], axis=-1).astype(np.uint8), RATE)


# Slices


def test_sections_continue_the_lines_of_the_frame_that_they_are_cut_along():
    T, H, W = 5, 6, 8
    picture = sections(coded(T, H, W))
    assert picture.shape == (H + GAP + T, W + GAP + T, 4)
    for y in range(H):
        for x in range(W):
            assert picture[y, x].tolist() == [T // 2, y, x, 255]
        for t in range(T):
            assert picture[y, W + GAP + t].tolist() == [t, y, W // 2, 255]  # time to the right
    for t in range(T):
        for x in range(W):
            assert picture[H + GAP + t, x].tolist() == [t, H // 2, x, 255]  # time downwards
    assert picture[..., 3].sum() == 255 * (H * W + H * T + T * W)  # clear elsewhere


def test_a_strip_has_its_marks_over_the_frames_that_they_are_of():
    picture = strip(coded(7, 4, 6), marks=(2, 5))
    assert picture.shape == (MARK + 4, 7, 4)
    assert [t for t in range(7) if picture[0, t, 3]] == [2, 5]
    assert not picture[MARK - 1].any()
    assert picture[MARK:, :, 0].tolist() == [list(range(7))] * 4
    assert picture[MARK:, :, 2].tolist() == [[3] * 7] * 4


def test_grey_and_transparent_clips_are_shown_too():
    grey = Clip(torch.zeros(1, 3, 8, 8), RATE)
    assert sections(grey).shape == (8 + GAP + 3, 8 + GAP + 3, 4)
    clear = Clip(-torch.ones(4, 3, 8, 8), RATE)  # nothing to be seen: mid-grey is
    assert sections(clear)[0, 0].tolist() == [128, 128, 128, 255]


@pytest.mark.parametrize(
    ("most", "order", "seams"),
    [
        (12, [0, 1, 2, 3] * 3, (4, 8)),
        (11, [0, 1, 2, 3, 0, 1, 2, 3], (4,)),  # a whole round at either side is enough
        (5, [2, 3, 0, 1, 2], (2,)),
        (2, [3, 0], (1,)),
    ],
)
def test_a_loop_is_repeated_or_shown_around_its_seam(most: int, order: list[int], seams: tuple[int, ...]):
    again, found = repeated(coded(4, 8, 8), times=3, most=most)
    assert again.to_uint8()[:, 0, 0, 0].tolist() == order
    assert found == seams
    assert again.fps == RATE


# Curves


def test_the_journal_ends_where_a_crash_cut_it(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    assert read_journal(path) == []
    path.write_text('{"iteration": 1, "gap": 2.0}\n{"iteration": 2, "ga')
    assert read_journal(path) == [{"iteration": 1, "gap": 2.0}]


def points(svg: str) -> list[np.ndarray]:
    """The data lines of an SVG, (N, 2) each: the paths that are clipped to their axes."""
    paths = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}path") and "clip-path" in e.attrib]
    return [np.array(re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", p.attrib["d"]), dtype=float) for p in paths]


def test_each_curve_is_its_own_numbers_to_scale():
    zigzag = [3.0, -1.0, 4.0, -1.5, 9.0, 2.0]
    records = [{"iteration": i + 1, "energy": v, "gap": 10.0 * v**2, "gen_loss": -v} for i, v in enumerate(zigzag)]
    for key, line in zip(("energy", "gap", "gen_loss"), points(curves(records)), strict=True):
        values = np.array([r[key] for r in records])
        for drawn, meant, upwards in ((line[:, 0], np.arange(1.0, 7.0), 1), (line[:, 1], values, -1)):
            slope, offset = np.polyfit(meant, drawn, 1)
            # The SVG's coordinates have six decimals; a swapped curve is off by tens of points.
            np.testing.assert_allclose(drawn, slope * meant + offset, atol=1e-3)
            assert slope * upwards > 0


def test_what_is_not_finite_or_not_recorded_is_left_out():
    records = [{"iteration": i, "energy": e} for i, e in ((1, 1.0), (2, float("nan")), (3, 5.0), (4, 2.0))]
    lines = points(curves(records))
    assert [len(line) for line in lines if len(line)] == [3]
    assert curves([{"iteration": 1, "energy": 1.0, "gap": 1.0, "gen_loss": 1.0}])  # one iteration is a point


def test_equal_curves_are_equal_files():
    records = [{"iteration": i, "energy": float(i), "gap": 0.0, "gen_loss": 1.0} for i in range(5)]
    assert curves(records) == curves(records)


# The page


class Reader(HTMLParser):
    """Collects the addresses and the text of a page, and checks that its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "poster", "srcset")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_what_is_text_is_no_markup():
    nasty = '<script>alert("&amp;")</script>'
    read = Reader(page(nasty, [pairs({nasty: nasty, "left out": None})], style=""))
    assert read.words.count(nasty) == 3
    assert "left out" not in read.words


def test_files_are_embedded_up_to_a_size_and_named_beyond(tmp_path: Path):
    path = tmp_path / "output" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(b"12345")
    assert file_uri(path, "video/mp4", most=5, within=tmp_path) == data_uri("video/mp4", b"12345")
    assert file_uri(path, "video/mp4", most=4, within=tmp_path) == "output/a.mp4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with the previews of two clips of 12 frames."""
    original, made = make("flame", size=32, n_frames=12), make("flame", size=32, n_frames=12, seed=1)
    write_clip(tmp_path / "side.mp4", side_by_side(original, made))
    write_png(tmp_path / "sheet.png", sheet(original, made))
    (tmp_path / "config.json").write_text('{"a setting": 17}')
    (tmp_path / "env.json").write_text('{"torch": "9.9", "command": ["/home/me/x"], "platform": "a machine"}')
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 1, "energy": 2, "gap": 1, "gen_loss": 3}\n')
    return tmp_path


def facts(**changes: Any) -> ReportFacts:
    given: dict[str, Any] = {
        "title": "flame", "summary": "Twelve frames.", "command": "dyntex synthesize flame.mp4",
        "settings": {"seed": 7, "tile": None}, "seconds": {"fit": 1.26}, "seams": {}, "scores": {}, "outputs": (),
        "more": "dyntex sample a.run/model -o more.mp4",
    }  # fmt: skip
    return ReportFacts(**(given | changes))


def written(folder: Path, told: ReportFacts, *, loop: bool = False) -> Reader:
    original, made = make("flame", size=32, n_frames=12), make("flame", size=32, n_frames=12, seed=1)
    path = write_report(
        folder, told, original=original, made=made, side=folder / "side.mp4", sheet=folder / "sheet.png", loop=loop
    )
    assert path == folder / "report.html"
    return Reader(path.read_text(encoding="utf-8"))


def test_the_report_holds_all_that_it_shows(folder: Path):
    read = written(folder, facts(outputs=(folder / "side.mp4",)))
    assert {address.split(";")[0] for address in read.addresses} == {
        "data:video/mp4",
        "data:image/png",
        "data:image/svg+xml",
    }
    assert data_uri("video/mp4", (folder / "side.mp4").read_bytes()) in read.addresses
    assert data_uri("image/png", (folder / "sheet.png").read_bytes()) in read.addresses
    text = "\n".join(read.words)
    for word in ("Twelve frames.", "dyntex synthesize flame.mp4", "seed", "7", "1.3", "9.9", "17", "side.mp4",
                 "dyntex sample a.run/model -o more.mp4", "1 iteration."):  # fmt: skip
        assert word in text
    for word in ("/home/me", "a machine", "tile", "Score", "The loop", str(folder)):
        assert word not in text
    assert "http" not in text


def test_a_loop_is_played_three_times(folder: Path, tmp_path: Path):
    made = make("flame", size=32, n_frames=12, seed=1).to_uint8().astype(float)
    read = written(folder, facts(), loop=True)
    videos = [a for a in read.addresses if a.startswith("data:video")]
    (tmp_path / "loop.mp4").write_bytes(base64.b64decode(videos[1].partition(",")[2]))
    played = read_clip(tmp_path / "loop.mp4").to_uint8().astype(float)
    assert len(played) == 36
    # The codec is off by 3 levels on average (measured), another frame of the flame by 20.
    off = np.abs(played[:, None] - made[None]).mean(axis=(2, 3, 4))  # (36, 12)
    assert off.argmin(axis=1).tolist() == [*range(12)] * 3
    assert "The loop, three times" in read.words


def test_a_long_loop_shows_its_seam(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "MOST_PIXELS", 10 * 32 * 32)
    assert "The loop's seam" in written(folder, facts(), loop=True).words


def test_seams_and_scores_are_tabled_where_there_are_any(folder: Path):
    seam = {"step_percentile": None, "acceleration_percentile": 12.4, "own_step_percentile": 50.0,
            "own_acceleration_percentile": 99.6}  # fmt: skip
    read = written(folder, facts(seams={"x": seam}, scores={"ours": 1.5, "the clip itself": 1.0, "noise": 7.0}))
    at = read.words.index("right to left")
    assert [w for w in read.words[at : at + 9] if w.strip()][:5] == ["right to left", "–", "12", "50", "100"]
    order = [read.words.index(name) for name in ("the clip itself", "ours", "noise")]
    assert order == sorted(order)  # the best first
    assert "1.50" in read.words


def test_a_folder_without_records_has_a_report_all_the_same(folder: Path):
    for name in ("config.json", "env.json", "metrics.jsonl"):
        (folder / name).unlink()
    words = written(folder, facts()).words
    assert not {"Training", "Made with", "All settings"} & set(words)
    assert "Settings" in words


def test_previews_too_large_to_be_mailed_stay_beside_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(report, "MOST_BYTES", 10)
    assert {"side.mp4", "sheet.png"} <= set(written(folder, facts()).addresses)


# The command


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one ``synthesize --loop``, whose JSON is in ``stdout``."""
    folder = tmp_path_factory.mktemp("made")
    outcome = done("synthesize", "example:flame", "-o", folder / "a.mp4", *TINY, "--loop", "--seed", 5, "--json", "-q")
    (folder / "stdout").write_text(outcome.out)
    return folder


def test_the_run_folder_is_all_that_one_sends(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = made / "a.run"
    assert json.loads((made / "stdout").read_text())["report"] == str(run / "report.html")
    assert {path.name for path in (run / "output").iterdir()} == {"a.mp4", "a.sheet.png", "a.side.mp4"}
    for path in (run / "output").iterdir():
        assert path.read_bytes() == (made / path.name).read_bytes()
    text = (run / "report.html").read_text()
    assert str(made) not in text
    words = Reader(text).words
    assert (
        "dyntex synthesize example:flame -o a.mp4 --size 16 --clip-frames 16 --iterations 2 --loop --seed 5 --json -q"
        in words
    )
    assert "The loop, three times" in words
    assert "2 iterations" in "".join(words)
    # The command that it gives works where the folder is sent to.
    (tmp_path / "a.run").symlink_to(run)
    monkeypatch.chdir(tmp_path)
    (more,) = [word for word in words if word.startswith("dyntex sample")]
    done(*more.split()[1:], "-q")
    assert read_clip("more.mp4").n_frames == 16


def test_a_model_elsewhere_is_named_without_its_folders(tmp_path: Path):
    done("synthesize", "example:flame", "-o", tmp_path / "a.mp4", *TINY, "--save-model", tmp_path / "kept", "-q")
    text = (tmp_path / "a.run" / "report.html").read_text()
    assert "dyntex sample kept -o more.mp4 --seed 1" in text
    assert str(tmp_path) not in text


def test_where_files_cannot_be_linked_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*args: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refused)
    (tmp_path / "a.mp4").write_bytes(b"new")
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "a.mp4").write_bytes(b"old")
    place = copy_into(tmp_path / "a.mp4", tmp_path / "output")
    assert place.read_bytes() == b"new"
    assert not place.samefile(tmp_path / "a.mp4")


def test_a_folder_of_frames_is_taken_along_each_time(tmp_path: Path):
    command = ("synthesize", "example:flame", "-o", f"{tmp_path}/frames/", *TINY, "-q")
    done(*command)
    done(*command, "--resume", "--overwrite", "--frames", 17)
    run = tmp_path / "frames.run"
    assert [p.name for p in sorted((run / "output" / "frames").iterdir())] == [f"{i:06}.png" for i in range(17)]
    assert "output/frames" in (run / "report.html").read_text()


def test_a_report_that_fails_is_said_and_costs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*args: object, **kwargs: object) -> Path:
        raise RuntimeError("no")

    monkeypatch.setattr("dyntex.experiment.bundle.write_report", broken)
    outcome = done("synthesize", "example:flame", "-o", tmp_path / "a.mp4", *TINY, "--json")
    assert outcome.json["report"] is None
    assert "the report could not be made (RuntimeError: no)" in outcome.err
    assert (tmp_path / "a.mp4").is_file()
    assert (tmp_path / "a.run" / "result.json").is_file()
    assert not (tmp_path / "a.run" / "report.html").exists()


def test_a_failed_run_does_not_lie_beside_the_report_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command = ("synthesize", "example:flame", "-o", tmp_path / "a.mp4", *TINY, "-q")
    done(*command)

    def diverges(*args: object, **kwargs: object) -> CoopNets:
        raise DivergedError("it ran away")

    monkeypatch.setattr("dyntex.experiment.run.Run.train", diverges)
    run = tmp_path / "a.run"
    assert dyntex(*command, "--resume", "--overwrite").code == 5
    assert (run / "report.html").is_file()  # it is of what is gone on with
    assert dyntex(*command, "--overwrite").code == 5
    assert not (run / "report.html").exists()
    assert not (run / "output").exists()
    assert (tmp_path / "a.mp4").is_file()


# Scores


def test_scores_are_by_the_frames_that_follow_those_learnt():
    whole = make("flame", size=32, n_frames=56)
    clip, heldout = whole.segment(8, 24), whole.segment(32, 24)
    made = make("flame", size=32, n_frames=28, seed=3)
    scorer = Scorer.for_source(clip, "example:flame", start=8, n_frames=28)
    found = scorer.with_controls(made, rng=torch.Generator().manual_seed(0))
    by_hand = score(eight_bits(made.segment(0, 24)), eight_bits(clip), eight_bits(heldout)).value
    assert found["result"] == pytest.approx(by_hand, abs=1e-4)
    assert found["the clip itself"] == pytest.approx(1.0, abs=0.6)  # real blocks against real blocks
    assert found["its mean frame"] > max(1.5, found["its frames shuffled"])
    assert len(found) == 7
    assert scorer.copy_distance(whole.segment(8, 30)) == 0.0
    expected = copy_distance(eight_bits(made.segment(0, 24)), eight_bits(clip), eight_bits(heldout))
    assert scorer.copy_distance(made) == pytest.approx(expected, abs=1e-4) != 0.0
    assert Scorer.of(clip, clip).copy_distance(made) is None  # what follows is the clip again: nothing could be new


def test_what_cannot_be_scored_is_refused_before_anything_is_learnt(tmp_path: Path):
    clip = make("flame", size=32, n_frames=16)
    with pytest.raises(UsageError, match="--score compares results as long as the clip, and 12 frames are fewer"):
        Scorer.for_source(clip, "example:flame", start=0, n_frames=12)
    write_clip(tmp_path / "c.mkv", make("flame", size=32, n_frames=24))
    for start in (0, 8):  # eight frames follow, and none
        with pytest.raises(InputError, match=r"--score needs frames of .*c.mkv that are not learnt, from .* on"):
            Scorer.for_source(clip, str(tmp_path / "c.mkv"), start=start, n_frames=16)
    outcome = dyntex("synthesize", tmp_path / "c.mkv", "-o", tmp_path / "a.mp4", *SEEN, "--score", "-q")
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert {path.name for path in tmp_path.iterdir()} == {"c.mkv"}


def test_the_scores_asked_for_are_in_the_report(tmp_path: Path):
    told = done(
        "synthesize", "example:flame", "-o", tmp_path / "b.npy", *SEEN, "--clip-frames", "24", "--score", "--json", "-q"
    ).json
    words = Reader((tmp_path / "b.run" / "report.html").read_text()).words
    assert f"{told['scores']['result']:.2f}" in words
    assert "the clip itself" in words
    assert any(f"copy distance is {told['copy_distance']:.2f}" in text for text in words)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_the_links_of_the_pages_lead_somewhere(page: str):
    path = Path(__file__).parents[1] / page
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")) if ":" not in link]
    assert len(links) >= 3
    assert [link for link in links if not (path.parent / link).exists()] == []
