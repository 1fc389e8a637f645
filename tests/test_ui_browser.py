"""The page in a browser, as a person uses it: headless Chromium, driven by Playwright, against ``dyntex ui`` itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium (apt-get install chromium)"),
]

MINUTES = 180_000  # ms: a job on a busy core
PICTURES = os.environ.get("DYNTEX_UI_PICTURES")
"""A folder for screenshots, for people who want to look."""


class Server:
    """``dyntex ui`` in a process of its own."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        main = "from dyntex.cli import main; main()"
        words = [sys.executable, "-c", main, "ui", "--port", str(port), "--folder", str(folder), "--no-browser"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def stop(self, number: int = signal.SIGINT) -> None:
        self.process.send_signal(number)
        self.process.wait(90)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("ui"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Any, server: Server, **options: Any) -> Any:
    """A page that fails the test where a script does."""
    page = browser.new_context(viewport={"width": 1100, "height": 900}, **options).new_page()
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(server.address)
    page.locator("#examples button").first.wait_for()
    return page


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    found = opened(browser, server)
    yield found
    found.context.close()


@pytest.fixture(scope="module")
def ripples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dyntex.examples import make
    from dyntex.media import write_clip

    place = tmp_path_factory.mktemp("clip") / "my ripples.mp4"
    write_clip(place, make("ripples", size=48, n_frames=30))
    return place


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def drop(page: Any, file: Path) -> None:
    """Drop a file on the page, as a mouse does."""
    page.set_input_files("#file", [])
    data = page.evaluate_handle(
        """([name, text]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], name));
            return data;
        }""",
        [file.name, b64encode(file.read_bytes()).decode()],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})


def planned(page: Any) -> str:
    """What the page says a job will take, once it knows."""
    place = page.locator(".plan", has_text="Takes about")
    place.wait_for(timeout=MINUTES)
    return str(place.inner_text())


def make_loop(page: Any, file: Path) -> Any:
    """A loop of a dropped clip; returns its card."""
    drop(page, file)
    page.get_by_label("Method").select_option("shot-noise")
    page.get_by_label("Size").select_option("64")
    page.get_by_label("Length in frames").fill("24")
    page.get_by_label("Seamless loop").check()
    assert "memory" in planned(page)
    before = page.locator(".job").count()
    page.get_by_role("button", name="Make it").click()
    playwright.expect(page.locator(".job")).to_have_count(before + 1)
    card = page.locator(".job").first
    card.locator(".pair video").first.wait_for(timeout=MINUTES)
    return card


def test_a_dropped_clip_becomes_a_loop_that_plays_in_step(page: Any, ripples: Path, tmp_path: Path) -> None:
    picture(page, "empty")
    card = make_loop(page, ripples)
    assert page.locator(".clip .facts").inner_text().startswith("1.2 s · 48 × 48 · 25 frames a second · 30 frames")
    assert "Recommended because" in page.locator("#panel").inner_text()
    command = page.locator("#panel pre").text_content()
    assert command.startswith("dyntex synthesize 'my ripples.mp4' -o 'my ripples-synthesis.mp4' --method shot-noise")
    picture(page, "loop")

    card.get_by_role("button", name="Play", exact=True).click()
    time.sleep(2.0)
    ask = "all => all.map(v => [v.currentTime, v.duration, v.paused, v.videoWidth])"
    times = card.locator("video").evaluate_all(ask)
    (left, left_length, *_), (right, right_length, paused, width) = times
    assert not paused
    assert width == 64
    assert right_length == pytest.approx(24 / 25, abs=0.05)
    assert right > 0
    off = abs(left - right % left_length)
    assert min(off, left_length - off) < 3 / 25, times
    card.get_by_role("button", name="Pause").click()
    card.get_by_label("frame", exact=True).fill("12")
    assert "13 / 24" in card.inner_text()
    now = card.locator("video").evaluate_all("all => all.map(v => v.currentTime)")
    assert now[1] == pytest.approx(12.5 / 25, abs=0.01)

    canvas, slider = card.locator(".seam canvas"), card.get_by_label("frames before and after the seam")
    seen = [slider.fill(str(k)) or canvas.evaluate("c => c.toDataURL()") for k in (11, 12, 0)]
    assert len(set(seen)) == 3
    slider.fill("12")
    assert "1 after the beginning" in card.locator(".seam").inner_text()
    assert "percentile" in card.locator(".seam").inner_text()

    with page.expect_download(timeout=MINUTES) as started:
        card.get_by_role("button", name="gif").click()
    started.value.save_as(tmp_path / "made.gif")
    assert started.value.suggested_filename == "my_ripples-synthesize-0.gif"
    assert (tmp_path / "made.gif").read_bytes().startswith(b"GIF89a")

    card.locator("summary", has_text="Through time").click()
    ask = "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))"
    widths = card.locator("img.slices").evaluate_all(ask)
    assert widths == [64 + 3 + 24] * 2
    picture(page, "through-time")


def test_a_bad_file_is_one_sentence_and_the_page_goes_on(page: Any, tmp_path: Path, ripples: Path) -> None:
    for name, content, words in (("notes.mp4", b"hello", "text"), ("noise.mp4", bytes(5000), "cannot be read")):
        (tmp_path / name).write_bytes(content)
        drop(page, tmp_path / name)
        message = page.locator("#message", has_text=words)
        message.wait_for(timeout=MINUTES)
    picture(page, "bad-file")
    drop(page, ripples)
    planned(page)
    assert page.locator("#message").inner_text() == ""


def test_a_training_shows_pictures_stops_with_its_work_saved_and_goes_on(
    page: Any, server: Server, ripples: Path
) -> None:
    drop(page, ripples)
    page.get_by_label("Method").select_option("coop")
    page.get_by_label("Time to train").select_option("draft")
    page.get_by_text("More settings").click()
    page.get_by_label("Frames to learn from").fill("16")
    page.get_by_label("Seed").first.fill("3")
    assert "60 s" in planned(page)
    page.get_by_role("button", name="Make it").click()
    card = page.locator(".job").first
    card.locator("p", has_text="Training:").wait_for(timeout=MINUTES)
    card.locator("img.picture").wait_for(timeout=MINUTES)
    assert card.locator("img.picture").evaluate("i => i.decode().then(() => i.naturalWidth)") > 48
    picture(page, "training")
    page.reload()
    card = page.locator(".job").first
    card.locator("p", has_text="Training:").wait_for()  # a reload loses nothing
    card.get_by_role("button", name="Stop and save").click()
    again = card.get_by_role("button", name="Continue")
    again.wait_for(timeout=MINUTES)
    assert "What it has learnt is saved" in card.inner_text()
    picture(page, "stopped")
    again.click()
    card.locator(".pair video").first.wait_for(timeout=MINUTES)
    picture(page, "trained")
    jobs = page.locator(".job").count()
    card.get_by_role("button", name="Another, without training").click()
    playwright.expect(page.locator(".job")).to_have_count(jobs + 1)
    more = page.locator(".job").first
    more.locator(".pair video").first.wait_for(timeout=MINUTES)
    assert "seed 4" in more.inner_text()


def test_what_is_painted_over_is_filled_in(page: Any, ripples: Path) -> None:
    drop(page, ripples)
    page.get_by_role("tab", name="Repair it").click()
    canvas = page.locator(".paint canvas")
    canvas.wait_for()
    button = page.get_by_role("button", name="Fill it in")
    assert button.is_disabled()
    page.get_by_label("Method").select_option("interpolate")
    page.get_by_label("to frame").fill("9")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"], steps=6)
    page.mouse.up()
    canvas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert "2 strokes" in page.locator("#panel").inner_text()
    planned(page)
    picture(page, "painted")
    button.click()
    page.locator(".job h3", has_text="repaired").first.wait_for()
    card = page.locator(".job").first
    card.locator(".pair video").first.wait_for(timeout=MINUTES)
    assert "--mask 'my ripples-mask.npz'" in card.locator("pre").text_content()
    picture(page, "repaired")


def test_a_server_that_starts_again_has_everything(browser: Any, tmp_path: Path, ripples: Path) -> None:
    server = Server(tmp_path / "ui")
    page = opened(browser, server)
    make_loop(page, ripples)
    server.stop(signal.SIGKILL)
    server = Server(tmp_path / "ui")
    try:
        page = opened(browser, server)
        assert page.locator("#clips button").count() == 1
        page.locator(".job .pair video").first.wait_for()
        page.get_by_role("button", name="Delete").click()
        playwright.expect(page.locator(".job")).to_have_count(0)
    finally:
        server.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 390])
def test_everyone_can_use_it(browser: Any, server: Server, ripples: Path, scheme: str, width: int) -> None:
    """axe-core finds nothing, nothing is wider than the screen, in both colour schemes, on a desk and on a phone."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = opened(browser, server, color_scheme=scheme, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 850})
    drop(page, ripples)
    planned(page)
    for view in ("Make more of it", "Repair it"):
        page.get_by_role("tab", name=view).click()
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        picture(page, f"{scheme}-{width}-{view.split()[0]}")
    page.context.close()


def test_all_of_it_works_with_the_keyboard(page: Any) -> None:
    page.locator("#examples button", has_text="ripples").focus()
    page.keyboard.press("Enter")
    planned(page)
    seen: list[str] = []
    page.evaluate("document.body.focus()")
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("(({name, innerText, id}) => name || innerText.trim() || id)(document.activeElement)")
        )
    reached = set(seen)
    assert {"file", "flame", "Make more of it", "Repair it", "frames", "loop", "size", "method", "Make it"} <= reached
    page.get_by_role("tab", name="Repair it").focus()
    page.keyboard.press("Enter")
    page.locator(".paint canvas").wait_for()
