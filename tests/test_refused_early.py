"""Whatever a write would refuse is refused before the work: formats by rates, sizes, lengths and channels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import TINY, dyntex
from media_files import noise, write_video

from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.experiment import run as run_module
from dyntex.media import check_fits, probe, read_clip, write_clip
from dyntex.media.formats import FORMATS

ENDINGS = [ending or "/" for ending in FORMATS if ending != ".png"]
RATES = [
    *map(Fraction, (1, 7, 10, 12, 24, 25, 30, 41, 45, 47, 48, 49, 50, 51, 60, 90, 100, 120, 144, 240, 480, 501, 1000)),
    *(Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)),
    *(Fraction(n, d) for n, d in ((1, 1001), (1, 1000), (1, 655), (1, 60), (1, 3), (25, 2), (100, 3), (2997, 125))),
    *(Fraction(n, d) for n, d in ((1001, 1), (2000, 1), (90_000, 1), (2**31, 7), (16683, 500), (359999, 10007))),
]
SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (7, 8), (1, 16_383), (1, 16_384), (1, 16_400), (2, 65_535), (65_535, 1)]


def refused(path: str, clip: Clip) -> bool:
    try:
        size = clip.height, clip.width
        check_fits(path, channels=clip.channels, n_frames=clip.n_frames, size=size, fps=clip.fps)
    except UsageError:
        return True
    return False


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("n_frames", [2, 9])
def test_a_rate_is_written_or_refused_before(tmp_path: Path, ending: str, n_frames: int) -> None:
    video = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (3, n_frames, 16, 16)).astype(np.float32))
    said = 0
    for k, fps in enumerate(RATES):
        clip, out = Clip(video, fps), f"{tmp_path}/{k}{ending}"
        if refused(out, clip):
            said += 1
            with pytest.raises(UsageError):
                write_clip(out, clip)
            continue
        write_clip(out, clip)
        back = read_clip(out)
        assert back.n_frames == n_frames
    assert said < 8, "a format that refuses most rates is none"


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_size_is_written_or_refused_before(tmp_path: Path, ending: str, size: tuple[int, int]) -> None:
    clip = Clip(torch.zeros(3, 2, *size), Fraction(25))
    out = f"{tmp_path}/a{ending}"
    if refused(out, clip):
        assert max(size) > 16_000 or size == (2, 1)
        with pytest.raises(UsageError):
            write_clip(out, clip)
        return
    write_clip(out, clip)
    assert probe(out).width in (size[1], size[1] + 1)


@pytest.mark.parametrize("rate", range(41, 51))
def test_a_gif_s_delays_average_to_the_rate(tmp_path: Path, rate: int) -> None:
    import PIL.Image

    clip = Clip(torch.rand(3, 64, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1, Fraction(rate))
    write_clip(tmp_path / "a.gif", clip)
    with PIL.Image.open(tmp_path / "a.gif") as image:
        delays = []
        for k in range(image.n_frames):
            image.seek(k)
            delays.append(image.info["duration"])
    assert set(delays) <= {20, 30}
    assert abs(sum(delays) - 64_000 / rate) <= 10
    assert float(read_clip(tmp_path / "a.gif").fps) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize(
    ("fps", "out", "words"),
    [
        (1000, "a.webp", "cannot play at 1000"),
        (Fraction(1, 700), "a.gif", "cannot play at 0.00142857"),
    ],
)
def test_nothing_is_learnt_for_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fps: Fraction, out: str, words: str
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the training began")

    monkeypatch.setattr(run_module.Run, "train", never)
    source = write_video(tmp_path / "a.mp4", noise(18, 16, 16), codec="mpeg4", pixels="yuv420p", fps=fps)
    outcome = dyntex("synthesize", source, *TINY, "-o", tmp_path / out, "-q")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert words in outcome.err
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4"}
