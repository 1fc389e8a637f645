"""Animated images are composed as FFmpeg does."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
from media_files import notices


def moving_square(path: Path, *, disposal: int, local: bool) -> Path:
    """A GIF of a square that moves over a ground, in frames that are no larger than the square."""
    ground = PIL.Image.new("P", (32, 24), 0)
    ground.putpalette([0, 0, 128, 0, 255, 0, 255, 0, 0])
    frames = [ground]
    for k in range(1, 5):
        frame = ground.copy()
        palette = [255, 0, 0, 0, 255 - 20 * k, 0, 0, 0, 128] if local else [0, 0, 128, 0, 255, 0, 255, 0, 0]
        frame.putpalette(palette)
        frame.paste(2 if local else 0, (0, 0, 32, 24))
        frame.paste(1, (4 * k, 4, 4 * k + 4, 8))
        frames.append(frame)
    ground.save(path, save_all=True, append_images=frames[1:], disposal=[1] + [disposal] * 4, duration=100)
    return path


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
@pytest.mark.parametrize("local", [False, True])
def test_a_gif_is_composed_as_ffmpeg_does(tmp_path: Path, disposal: int, local: bool) -> None:
    path = moving_square(tmp_path / "a.gif", disposal=disposal, local=local)
    found, _ = notices(path)
    with av.open(str(path)) as container:
        expected = np.stack([frame.to_ndarray(format="rgba") for frame in container.decode(video=0)])
    if found.shape[3] == 3:
        assert (expected[..., 3] == 255).all()
    assert np.array_equal(found[..., :3].round(), expected[..., :3] * (expected[..., 3:] // 255))


@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_an_apng_is_composed_as_ffmpeg_does(tmp_path: Path, blend: int, disposal: int) -> None:
    rng = np.random.default_rng(0)
    frames = [PIL.Image.fromarray(rng.integers(0, 2, (24, 32, 4), dtype=np.uint8) * 255) for _ in range(5)]
    frames[0].putalpha(255)
    path = tmp_path / "a.png"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, blend=blend, disposal=disposal)
    found, _ = notices(path)
    with av.open(str(path), format="apng") as container:
        expected = np.stack([frame.to_ndarray(format="rgba") for frame in container.decode(video=0)])
    shown = found[..., 3:].round() if found.shape[3] == 4 else np.full((*found.shape[:3], 1), 255.0)
    assert np.array_equal(shown, expected[..., 3:])
    assert np.array_equal(found[..., :3].round(), expected[..., :3] * (expected[..., 3:] // 255))
