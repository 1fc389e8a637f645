"""The page's questions and their answers, and a job from its beginning to a video that browsers play."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
import pytest
import ui_page
from commands import dyntex
from media_files import noise, write_video

from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.media.formats import FORMATS
from dyntex.ui import requests
from dyntex.ui.expectation import extrapolated
from dyntex.ui.painting import MOST_POINTS, check_strokes, mask_of, share_of
from dyntex.ui.tasks import Task, Tasks
from dyntex.ui.workshop import Workshop

ABOUT = {"n_frames": 120, "default_size": [128, 128], "recommended": {"method": "video-texture", "reason": "so"}}


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "shop")


@pytest.fixture
def page(shop: Workshop) -> Any:
    return ui_page.owner(ui_page.make_guard(shop))


def test_what_can_be_chosen_is_what_the_library_has(page: Any) -> None:
    from dyntex import METHODS
    from dyntex.examples import EXAMPLES

    found = page.get("/api/start").json()
    assert [method["name"] for method in found["methods"]] == list(METHODS)
    assert [kind["ending"] for kind in found["formats"]] == list(FORMATS)
    assert [example["name"] for example in found["examples"]] == list(EXAMPLES)
    lacking = {method["name"]: set(method["lacks"]) for method in found["methods"]}
    assert lacking == {name: set(method.capabilities().lacks) for name, method in METHODS.items()}
    assert "tile" in lacking["shot-noise"]


def asked(**form: Any) -> dict[str, Any]:
    return requests.synthesis(form, clip=ABOUT, name="my fire.mp4")


def test_the_command_line_of_a_request_says_all_that_was_chosen() -> None:
    found = asked(method="coop", frames=96, loop=True, size=[64, 96], quality="draft", seed=3, format=".webm", start=5)
    assert found["command"] == (
        "dyntex synthesize 'my fire.mp4' -o 'my fire-synthesis.webm' --method coop --frames 96 --loop --size 64x96 "
        "--start 5 --seed 3 --quality draft"
    )
    assert found["options"] == {
        "method": "coop", "frames": 96, "loop": True, "size": [64, 96], "start": 5, "seed": 3, "quality": "draft",
    }  # fmt: skip


def test_automatic_is_what_info_recommends_unless_it_cannot() -> None:
    assert asked()["options"]["method"] == "video-texture"
    assert asked(method="auto", tile="x", preset="fast-st")["options"]["method"] == "coop"


def test_the_command_line_is_understood_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shlex

    monkeypatch.chdir(tmp_path)
    form = {"method": "shot-noise", "frames": 16, "size": [16, 16], "clip_frames": 16, "loop": True}
    found = requests.synthesis(form, clip=ABOUT, name="example:flame")
    outcome = dyntex(*shlex.split(found["command"])[1:], "--quiet")
    assert (outcome.code, outcome.out.strip()) == (0, "flame-synthesis.mp4")


REFUSED = (
    ({"method": "shot-noise", "loop": True, "frames": 2}, "at least 3"),
    ({"method": "../lds"}, "unknown"),
    ({"tile": "z"}, "unknown"),
    ({"tile": "x", "method": "shot-noise"}, "not possible"),
    ({"frames": 0, "loop": True}, "not positive"),
    ({"frames": -1}, "not a number"),
    ({"frames": 10**9}, "not a number"),
    ({"frames": True}, "not a number"),
    ({"frames": "64; rm -rf /"}, "not a number"),
    ({"size": [7, 8]}, "out of range"),
    ({"size": [10**6, 10**6]}, "out of range"),
    ({"size": "128"}, "height and a width"),
    ({"size": [64.5, 64]}, "height and a width"),
    ({"format": ".exe"}, "unknown"),
    ({"format": "/../../x.mp4"}, "unknown"),
    ({"format": []}, "unknown"),
    ({"loop": "yes"}, "neither true nor false"),
    ({"method": "coop", "quality": "best"}, "unknown"),
    ({"method": "coop", "preset": "/etc/passwd"}, "unknown"),
    ({"seed": 2**60}, "not a number"),
    ({"method": "coop", "clip_frames": 2}, "too few"),
)


@pytest.mark.parametrize(("form", "words"), REFUSED)
def test_a_request_that_cannot_be_is_refused_in_a_sentence(shop: Workshop, form: dict[str, Any], words: str) -> None:
    page = ui_page.owner(ui_page.make_guard(shop))
    clip = ui_page.ready_clip(shop)
    for path in ("/api/plan", "/api/jobs"):
        answer = page.post(path, json={"clip": clip.id, **form})
        assert answer.status_code == 400
        assert words in answer.json()["error"]
    assert list(shop.jobs) == []


IDS = (
    "..",
    "../clips",
    "%2e%2e",
    "0" * 16,
    "ABCDEF0123456789",
    "0123456789abcde/",
    "x" * 16,
    "0123456789abcdef\0",
    "draft-00",
)


@pytest.mark.parametrize("name", IDS)
def test_an_id_is_looked_up_and_never_opened(shop: Workshop, page: Any, name: str) -> None:
    (shop.folder / "secret.mp4").write_text("secret")
    assert shop.clips.get(name) is None
    assert page.post("/api/jobs", json={"clip": name}).status_code == 400
    assert page.post("/api/jobs", json={"kind": "sample", "of": name}).status_code == 400
    for path in ("/api/clips/{}", "/api/clips/{}/poster.png", "/api/jobs/{}", "/api/jobs/{}/files/result.mp4"):
        answer = page.get(path.format(quote(name, safe="")))
        assert answer.status_code in (400, 404, 405)
        assert "secret" not in answer.text


FILES = ("request.json", "status.json", "lock", "log.txt", "source.mp4", "..%2f..%2fserver.lock", "%2e%2e/status.json",
         "....//status.json", "result.run", "/etc/passwd", "%2fetc%2fpasswd", "seam.png%00", ".")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_of_a_job_only_known_files_are_sent(shop: Workshop, page: Any, name: str) -> None:
    clip = ui_page.ready_clip(shop)
    (clip.folder / "source.mp4").write_text("own")
    job = shop.jobs.add({"kind": "synthesize", "name": "a", "options": {}, "ending": ".mp4", "source": "source.mp4"})
    for file in ("source.mp4", "log.txt", "lock"):
        (job.folder / file).write_text("secret")
    (job.folder / "seam.png").write_bytes(b"picture")
    for folder in (f"/api/jobs/{job.id}/files/", f"/api/clips/{clip.id}/", "/static/"):
        path = folder + (quote(name, safe="%") if name != "." else "%2e")
        answer = page.get(path)
        assert answer.status_code in (400, 404, 405), path
        assert "secret" not in answer.text
    assert page.get(f"/api/jobs/{job.id}/files/seam.png").content == b"picture"


BODIES = (
    b"",
    b"[]",
    b"null",
    b'"x"',
    b"{",
    b"\xff",
    b"[" * 100_000,
    b'{"clip": {"a": 1}}',
    b'{"clip": null, "kind": 7}',
)


@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_request_is_refused(page: Any, body: bytes) -> None:
    for path in ("/api/jobs", "/api/plan", "/api/examples"):
        answer = page.post(path, content=body)
        assert answer.status_code == 400, path
        assert answer.json()["error"]


def test_a_request_that_is_too_large_is_not_read(page: Any) -> None:
    assert page.post("/api/jobs", content=b" " * (3 * 2**20)).status_code == 413


def stroke(*points: list[float], radius: float = 1.0, first: int = 0, last: int = 99) -> dict[str, Any]:
    return {"points": list(points), "radius": radius, "first": first, "last": last}


def test_a_stroke_paints_what_is_near_its_line_in_its_frames() -> None:
    import torch

    clip = Clip(torch.zeros(3, 4, 12, 20), 25)
    mask = mask_of(check_strokes([stroke([4, 6], [14, 6], radius=2, first=1, last=2)]), clip)
    y, x = np.mgrid[:12, :20] + 0.5
    expected = np.hypot(x - x.clip(4, 14), y - 6) <= 2
    assert not mask[0].any()
    assert not mask[3].any()
    assert (mask[1] == expected).all()
    assert (mask[2] == expected).all()
    dot = mask_of(check_strokes([stroke([19.5, 0.5], radius=1.2)]), clip)[0]
    assert sorted(zip(*np.nonzero(dot), strict=True)) == [(0, 18), (0, 19), (1, 19)]
    assert not mask_of(check_strokes([stroke([-50, -50], [900, -50], radius=3)]), clip).any()


def test_the_painted_share_is_told_without_painting() -> None:
    import torch

    strokes = check_strokes([stroke([60, 60], [200, 90], radius=20, first=2, last=3), stroke([250, 150], radius=30)])
    exact = mask_of(strokes, Clip(torch.zeros(3, 8, 200, 300), 25)).mean()
    assert share_of(strokes, (8, 200, 300)) == pytest.approx(exact, rel=0.05)


WRONG = ([], [stroke()], [{}], "x", None, [stroke([float("nan"), 1])], [stroke([1, 1e9])], [stroke([1, 2, 3])],
         [stroke([1, "a"])], [stroke([1, 1], first="x")], [stroke(*[[1, 1]] * (MOST_POINTS + 1))])  # fmt: skip


@pytest.mark.parametrize("strokes", WRONG)
def test_strokes_that_are_none_are_refused(strokes: Any) -> None:
    with pytest.raises(UsageError):
        check_strokes(strokes)


def test_what_two_sizes_took_says_what_a_third_will() -> None:
    # 1 + 2 p seconds to fit, 3 p to make, 100 + p MiB, with p in thousands of pixels, measured at 4 of them.
    facts = {"start": 5.0, "pixels": 4000, "n_frames": 64, "at": [9.0, 12.0, 104.0], "per_pixel": [2e-3, 3e-3, 1e-3]}
    found = extrapolated(facts, pixels=10_000, fits=1.0, makes=2.0, free=1.0)
    assert found.seconds == pytest.approx(5 + 21 + 2 * 30)
    assert found.mib == pytest.approx(110)


@pytest.mark.slow
def test_a_method_is_measured_by_running_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dyntex.ui.measure import measure
    from dyntex.ui.worker import Report

    monkeypatch.chdir(tmp_path)
    task = Tasks(tmp_path / "t").add({"method": "shot-noise", "source": "example:ripples", "n_frames": 8})
    facts = measure(task, Report(task))
    assert facts["start"] > 0
    assert facts["pixels"] == 96 * 96
    assert len(facts["at"]) == len(facts["per_pixel"]) == 3
    assert min(facts["at"][:2]) > 0
    assert facts["at"][2] > 100  # MiB of a process that holds PyTorch
    assert not list(tmp_path.glob("trial-*"))


def test_what_is_measured_once_is_not_measured_again(shop: Workshop) -> None:
    page = ui_page.owner(ui_page.make_guard(shop))
    clip = ui_page.ready_clip(shop)
    form = {"clip": clip.id, "method": "video-texture", "frames": 128}
    assert page.post("/api/plan", json=form).json()["measuring"]
    (task,) = shop.measures
    facts = {"start": 1.0, "pixels": 9216, "n_frames": 64, "at": [2.0, 3.0, 500.0], "per_pixel": [0.0, 0.0, 0.1]}
    task.update(state="done", facts=facts)
    found = page.post("/api/plan", json=form).json()
    assert found["seconds"] == pytest.approx(1 + 2 + 2 * 3)
    assert found["mib"] == pytest.approx(500 + 0.1 * (128 * 128 - 9216))
    assert not found["measuring"]
    assert page.post("/api/plan", json=form | {"size": [512, 512]}).json()["mib"] > 20_000
    assert len(list(shop.measures)) == 1
    task.update(state="failed", error="no")
    assert page.post("/api/plan", json=form).json()["problem"] == "no"
    assert page.post("/api/plan", json=form).json()["measuring"]  # it is tried again


def test_another_server_in_the_same_folder_is_refused(shop: Workshop) -> None:
    with pytest.raises(UsageError, match="--folder"):
        Workshop(shop.folder)


def test_a_busy_port_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = dyntex("ui", "--port", port, "--folder", tmp_path / "f", "--no-browser")
    assert outcome.code == 2
    assert f"port {port}" in outcome.err
    assert "--port" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert outcome.out == ""
    assert not (tmp_path / "f").exists()


def test_without_the_extra_it_is_one_line_and_exit_code_6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    outcome = dyntex("ui", "--folder", tmp_path / "f", "--no-browser")
    assert outcome.code == 6
    assert "dyntex-coopnets[ui]" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = dyntex("ui", "--port", 0, "--folder", tmp_path / "file", "--no-browser")
    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
    assert "--folder" in outcome.err


def test_tasks_are_whole_or_not_there(tmp_path: Path) -> None:
    tasks = Tasks(tmp_path / "t")
    draft = tasks.draft()
    assert list(tasks) == []
    first, second = tasks.add({"kind": "a"}, made=draft), tasks.add({"kind": "b"})
    assert [task.request["kind"] for task in tasks] == ["a", "b"]
    tasks.draft()
    tasks.sweep()
    assert len(list(tmp_path.glob("t/*"))) == 2
    assert first.state == "waiting"
    assert first.worker() is None
    with first.held() as ours, Task(first.folder).held() as theirs:
        assert ours
        assert not theirs
        assert first.worker() == os.getpid()
    assert first.worker() is None
    (second.folder / "status.json").write_text("{half")
    assert second.state == "waiting"


def pixels(place: Path) -> tuple[str, str, int, tuple[int, int]]:
    with av.open(str(place)) as container:
        stream = container.streams.video[0]
        n = sum(1 for _ in container.decode(stream))
        return stream.codec_context.name, stream.codec_context.pix_fmt, n, (stream.height, stream.width)


def test_a_clip_becomes_a_loop_that_browsers_play(shop: Workshop, tmp_path: Path) -> None:
    """Upload, look, plan, synthesize, download in two formats, repair: through the queue and its processes."""
    write_video(tmp_path / "fire.mp4", noise(20, 24, 32))
    with ui_page.stranger(ui_page.make_guard(shop)) as page:
        assert page.get(f"/?token={ui_page.TOKEN}").status_code == 303
        page.headers.update(ui_page.SAME)
        clip = page.post("/api/clips?name=fire.mp4", content=(tmp_path / "fire.mp4").read_bytes()).json()
        bad = page.post("/api/clips?name=bad.mp4", content=b"\0" * 3000).json()
        found = ui_page.wait_for(page, f"/api/clips/{clip['id']}")
        assert (found["state"], found["facts"]["n_frames"]) == ("done", 20)
        form = {
            "clip": clip["id"],
            "method": "shot-noise",
            "loop": True,
            "frames": 24,
            "size": [16, 16],
            "format": ".webm",
        }
        job = page.post("/api/jobs", json=form).json()
        strokes = [stroke([8, 8], [12, 9], radius=2)]
        repair = page.post(
            "/api/jobs", json={"clip": clip["id"], "kind": "recover", "method": "interpolate", "strokes": strokes}
        )
        job = ui_page.wait_for(page, f"/api/jobs/{job['id']}")
        assert job["state"] == "done", job
        folder = shop.jobs.root / job["id"]
        for name in ("original.mp4", "result.mp4"):
            assert pixels(folder / name)[:2] == ("h264", "yuv420p")
        assert pixels(folder / "result.mp4")[2:] == (24, (16, 16))
        assert job["facts"]["seam"]["t"]["own_step_percentile"] is not None
        assert {"seam.png", "slices-original.png", "slices-result.png"} <= set(job["files"])
        part = page.get(f"/api/jobs/{job['id']}/files/result.mp4", headers={"range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, b"ftyp")  # which is how a browser jumps to a frame
        webm = page.get(f"/api/jobs/{job['id']}/download/webm")
        assert webm.headers["content-disposition"] == 'attachment; filename="fire-synthesize-0.webm"'
        assert webm.content.startswith(b"\x1a\x45\xdf\xa3")
        while (gif := page.get(f"/api/jobs/{job['id']}/download/gif")).status_code == 202:
            time.sleep(0.2)
        assert gif.content.startswith(b"GIF89a")
        repaired = ui_page.wait_for(page, f"/api/jobs/{repair.json()['id']}")
        assert repaired["state"] == "done", repaired
        assert 0 < repaired["facts"]["missing"] < 0.1
        refused = ui_page.wait_for(page, f"/api/clips/{bad['id']}")
        assert refused["state"] == "failed"
        assert "bad.mp4" in refused["error"]
        assert "cannot be read" in refused["error"]
        assert str(tmp_path) not in json.dumps([job, repaired, refused])


def test_a_job_that_a_killed_server_left_is_taken_up_again(shop: Workshop) -> None:
    waiting, ran, stopped, cancelled, done = (shop.jobs.add({"kind": "synthesize"}) for _ in range(5))
    ran.update(state="running", began=1.0)
    stopped.update(state="stopped")
    cancelled.update(state="stopped")
    cancelled.cancel(True)
    done.update(state="done", facts={})
    shop.queue.ending.set()  # nothing is begun
    shop.queue.start()
    shop.queue.stop()
    states = [task.state for task in (waiting, ran, stopped, cancelled, done)]
    assert states == ["waiting", "waiting", "waiting", "stopped", "done"]


def test_a_worker_that_is_killed_is_noticed(shop: Workshop) -> None:
    """What the system ends for its memory says nothing itself."""
    job = shop.jobs.add({"kind": "synthesize", "source": "example:flame", "options": {"method": "coop"}, "command": ""})
    shop.queue.start()
    try:
        until = time.monotonic() + 60
        while job.worker() is None and time.monotonic() < until:
            time.sleep(0.05)
        process = job.worker()
        assert process is not None
        os.kill(process, signal.SIGKILL)
        while job.state in ("waiting", "running") and time.monotonic() < until:
            time.sleep(0.05)
        assert job.state == "failed"
        assert "memory" in job.status["error"]
    finally:
        shop.queue.stop()


def test_a_training_that_is_cancelled_is_saved_and_goes_on(shop: Workshop) -> None:
    options = {"method": "coop", "size": [16, 16], "clip_frames": 16, "frames": 16, "quality": "draft"}
    request = {
        "kind": "synthesize",
        "source": "example:flame",
        "name": "flame",
        "options": options,
        "ending": ".mp4",
        "command": "",
    }
    job = shop.jobs.add(request)
    shop.queue.start()
    try:
        until = time.monotonic() + 120
        while not job.status.get("iteration") and time.monotonic() < until:
            time.sleep(0.1)
        shop.cancel(job)
        while job.state == "running" and time.monotonic() < until:
            time.sleep(0.1)
        assert job.state == "stopped"
        assert job.cancelled
        assert any((job.folder / "result.run" / "checkpoints").iterdir())
        lines = (job.folder / "result.run" / "metrics.jsonl").read_text().splitlines()
        shop.resume(job)
        while job.status.get("iteration", 0) <= len(lines) and time.monotonic() < until:
            time.sleep(0.1)
        assert job.status["iteration"] > len(lines)  # counted on, not begun again
    finally:
        shop.queue.stop()
    assert job.state in ("stopped", "done")


def test_the_command_prints_the_address_and_ends_in_order(tmp_path: Path) -> None:
    main = "from dyntex.cli import main; main()"
    words = [sys.executable, "-c", main, "ui", "--port", "0", "--folder", str(tmp_path / "f"), "--no-browser"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    assert "/?token=" in address
    import httpx

    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            answer = httpx.get(address)
            break
        except httpx.ConnectError:
            time.sleep(0.1)
    assert answer.status_code == 303
    process.send_signal(signal.SIGINT)
    _, words_said = process.communicate(timeout=30)
    assert process.returncode == 0, words_said
    assert address.split("token=")[1] not in words_said
