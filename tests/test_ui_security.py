"""The attacks on the page: each is tried, and each is answered with a refusal and nothing else."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import ui_page

from dyntex.ui.security import HEADERS, Guard, address, allowed_host
from dyntex.ui.workshop import Workshop

HOME, PORT, SAME, TOKEN = ui_page.HOME, ui_page.PORT, ui_page.SAME, ui_page.TOKEN


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    found: Guard = ui_page.make_guard(Workshop(tmp_path / "shop"))
    return found


ADDRESSES = (
    "/",
    "/static/main.js",
    "/api/start",
    "/api/jobs",
    "/api/clips",
    "/api/jobs/0123456789abcdef/files/seam.png",
)


@pytest.mark.parametrize("path", ADDRESSES)
def test_nothing_is_shown_without_the_token(guard: Guard, path: str) -> None:
    answer = ui_page.stranger(guard).get(path)
    assert answer.status_code == 403
    assert "token" in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "righ", "rightt", "\u0440ight"])
def test_a_wrong_token_opens_nothing(guard: Guard, token: str) -> None:
    client = ui_page.stranger(guard)
    answer = client.get("/", params={"token": token})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    client.cookies.set(guard.cookie, TOKEN)  # the token is not the cookie
    assert client.get("/api/start").status_code == 403


def test_the_token_is_changed_into_a_cookie_that_scripts_and_other_sites_cannot_use(guard: Guard) -> None:
    answer = ui_page.stranger(guard).get(f"/?token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"  # without the token
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert ui_page.owner(guard).get("/").status_code == 200


def test_the_token_opens_the_page_and_no_other_address(guard: Guard) -> None:
    for path in ADDRESSES[1:]:
        assert ui_page.stranger(guard).get(f"{path}?token={TOKEN}").status_code == 403
    assert ui_page.stranger(guard).post(f"/?token={TOKEN}", headers=SAME).status_code == 403


HOSTS = (
    "evil.example:8765",
    "evil.example",
    "127.0.0.1",
    "127.0.0.1:80",
    "127.0.0.1.evil.example:8765",
    "10.0.0.1:8765",
    "",
)


@pytest.mark.parametrize("host", HOSTS)
def test_another_name_for_this_machine_is_refused(guard: Guard, host: str) -> None:
    """DNS rebinding: a page of evil.example has its own name point to 127.0.0.1, and would be of the same origin."""
    client = ui_page.owner(guard)
    answer = client.get("/api/start", headers={"host": host, "origin": f"http://{host}"})
    assert answer.status_code == 403
    assert "name" in answer.text


def test_hosts_that_are_known() -> None:
    for host in ("127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765"):
        assert allowed_host(host, host="127.0.0.1", port=8765)
    assert allowed_host("localhost", host="localhost", port=80)
    # Where other machines may come in, a number is no name that could be bound anew.
    for host in ("192.168.1.5:8765", f"{socket.gethostname()}:8765"):
        assert allowed_host(host, host="0.0.0.0", port=8765)
    assert not allowed_host("evil.example:8765", host="0.0.0.0", port=8765)
    assert not allowed_host("192.168.1.5:8765", host="127.0.0.1", port=8765)
    assert allowed_host("box.lan:8765", host="box.lan", port=8765)


ORIGINS = (
    None,
    "http://evil.example",
    "http://127.0.0.1:3000",
    "https://127.0.0.1:8765",
    "null",
    "http://localhost:8765",
)


@pytest.mark.parametrize("origin", ORIGINS)
def test_other_pages_cannot_change_anything(guard: Guard, origin: str | None) -> None:
    client = ui_page.owner(guard)
    del client.headers["origin"]
    headers = {} if origin is None else {"origin": origin}
    for method, path in (
        ("POST", "/api/jobs"),
        ("POST", "/api/clips?name=a.mp4"),
        ("DELETE", "/api/jobs/0123456789abcdef"),
    ):
        answer = client.request(method, path, headers=headers, content=b"{}")
        assert answer.status_code == 403
        assert "another page" in answer.text


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_pages_cannot_read_or_embed_anything(guard: Guard, site: str) -> None:
    client = ui_page.owner(guard)
    del client.headers["origin"]
    assert client.get("/api/jobs", headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}).status_code == 403
    # A person who follows a link is no page that reads.
    assert client.get("/", headers={"sec-fetch-site": site, "sec-fetch-mode": "navigate"}).status_code == 200


def test_every_answer_carries_the_headers(guard: Guard) -> None:
    client = ui_page.owner(guard)
    for answer in (client.get("/"), client.get("/api/start"), client.get("/nowhere"), ui_page.stranger(guard).get("/")):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = client.get("/").text
    assert "style=" not in page
    assert "onclick" not in page
    assert page.count("<script") == page.count('<script type="module" src="/static/')


def test_the_page_needs_nothing_from_elsewhere() -> None:
    from dyntex.ui.app import STATIC

    for path in STATIC.values():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text
        assert "innerHTML" not in text  # names of files are words, never markup


def test_the_address_that_a_person_opens() -> None:
    assert address("127.0.0.1", 8765, "a") == "http://127.0.0.1:8765/?token=a"
    assert address("::1", 1, "a") == "http://[::1]:1/?token=a"
    assert address("0.0.0.0", 1, "a") == f"http://{socket.gethostname()}:1/?token=a"
