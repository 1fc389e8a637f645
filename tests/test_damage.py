"""What is damaged is refused, what is whole is not, and nothing is learnt silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_files import levels, noise, notices, write_video

from dyntex.errors import InputError
from dyntex.media import probe, read_clip


def film(path: Path, n_frames: int = 40, **options: Any) -> Path:
    """A video of moving noise whose key frames are ten apart."""
    ground = noise(1, 64, 96)[0]
    frames = [np.roll(ground, 3 * k, axis=1) for k in range(n_frames)]
    settings = {"g": "10", "bf": "0", "preset": "ultrafast", "sc_threshold": "0"}
    return write_video(path, frames, codec="libx264", pixels="yuv420p", options=settings, **options)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi"])
def test_damage_in_the_middle_is_refused_by_the_decoder_s_marks(tmp_path: Path, ending: str) -> None:
    path = film(tmp_path / f"a.{ending}")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    place = packets[15].pos + (60 if ending == "ts" else packets[15].size // 2)
    data[place : place + 100] = bytes(b ^ 0x5A for b in data[place : place + 100])
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"only \d+ of the frames") as caught:
        read_clip(path)
    whole = int(str(caught.value).split("only ")[1].split()[0])
    assert 13 <= whole <= 16
    assert read_clip(path, n_frames=whole).n_frames == whole


@pytest.mark.parametrize("lost", range(1, 10, 2))
def test_a_lost_packet_of_a_broadcast_is_damage_whether_or_not_the_decoder_sees_it(tmp_path: Path, lost: int) -> None:
    path = film(tmp_path / "a.ts")
    data = path.read_bytes()
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][15] + 188 * lost
    path.write_bytes(data[:place] + data[place + 188 :])
    with pytest.raises(InputError, match=r"only 1[345] of the frames"):
        read_clip(path)
    assert read_clip(path, start=20).n_frames == 20


def test_frames_after_damage_are_read_from_the_next_key_frame_on(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    place, size = packets[13]
    data[place + size // 2 : place + size // 2 + 40] = bytes(40)
    (tmp_path / "b.mp4").write_bytes(data)
    with pytest.raises(InputError, match=r"only 1[34] of the frames"):
        read_clip(tmp_path / "b.mp4")
    with pytest.raises(InputError, match="damaged"):
        read_clip(tmp_path / "b.mp4", start=15, n_frames=3)  # what builds on it
    sound = read_clip(path, start=20, n_frames=5).video
    assert bool((read_clip(tmp_path / "b.mp4", start=20, n_frames=5).video == sound).all())


@pytest.mark.parametrize("same_counters", [True, False])
def test_joined_streams_are_whole(tmp_path: Path, same_counters: bool) -> None:
    first = film(tmp_path / "a.ts", 20).read_bytes()
    second = first if same_counters else film(tmp_path / "b.ts", 20).read_bytes() + first
    (tmp_path / "c.ts").write_bytes(first + second)
    n = 40 if same_counters else 60
    clip = read_clip(tmp_path / "c.ts")
    assert (clip.n_frames, clip.fps) == (n, 25)
    assert bool((clip.video[:, :20] == clip.video[:, n - 20 :]).all())
    about = probe(tmp_path / "c.ts")
    assert (about.n_frames, about.fps, about.variable_rate) == (n, 25, False)


@pytest.mark.parametrize("ending", ["mkv", "mp4", "avi", "ts"])
def test_a_video_that_begins_late_is_whole(tmp_path: Path, ending: str) -> None:
    times = [100 + k for k in range(20)]  # 4 s of nothing before
    path = write_video(tmp_path / f"a.{ending}", levels(20, step=5), codec="mpeg4", pixels="yuv420p", times=times)
    clip = read_clip(path)
    assert (clip.n_frames, clip.fps) == (20, 25)


def test_a_recording_that_begins_between_key_frames_is_read_from_the_first_sound_frame(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.ts").read_bytes()
    (tmp_path / "b.ts").write_bytes(whole[188 * (len(whole) // 188 // 8) :])
    clip = read_clip(tmp_path / "b.ts")
    assert 20 <= clip.n_frames < 40
    assert bool((clip.video == read_clip(tmp_path / "a.ts", start=40 - clip.n_frames).video).all())


def test_frames_that_mostly_repeat_are_announced(tmp_path: Path) -> None:
    stills = [frame for frame in levels(6, step=40) for _ in range(3)]
    write_video(tmp_path / "a.mkv", stills)
    _, said = notices(tmp_path / "a.mkv")
    assert said == [s for s in said if "12 of the 18 frames" in s and "--start" in s]
    assert len(said) == 1
    write_video(tmp_path / "b.mkv", [frame for frame in levels(6, step=40) for _ in range(2)] + [noise(1)[0][:16, :16]])
    assert notices(tmp_path / "b.mkv")[1] == []  # 6 of 12 steps are no more than half


def test_transparency_of_vp9_needs_no_tag(tmp_path: Path) -> None:
    rgba = np.zeros((4, 32, 32, 4), np.uint8)
    rgba[..., 0], rgba[:, 8:24, 8:24, 3] = 255, 255

    def untagged(stream: av.video.stream.VideoStream) -> None:
        stream.metadata["alpha_mode"] = "1"

    path = write_video(
        tmp_path / "a.webm", rgba, codec="libvpx-vp9", pixels="yuva420p", source="rgba", prepare=untagged
    )
    for name, tag in (("b", b"ALPHA_MODE"), ("c", b"xxxxx_xxxx")):
        data = path.read_bytes()
        assert data.lower().count(b"alpha_mode") == 1
        at = data.lower().index(b"alpha_mode")
        (tmp_path / f"{name}.webm").write_bytes(data[:at] + tag + data[at + 10 :])
        assert notices(tmp_path / f"{name}.webm")[0].shape[3] == 4
        assert probe(tmp_path / f"{name}.webm").has_alpha
