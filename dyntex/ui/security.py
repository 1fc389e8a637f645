"""Who is answered: only the person who was given the token, only from the page itself, and only under its own name."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
SAFE = ("GET", "HEAD")
LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """Answers in place of the application whoever is not to be answered, and adds the headers to every answer.

    Args:
        app: the application.
        token: what the address of the page ends in, which the terminal shows.
        host: the address that the server listens on.
        port: its port.
    """

    def __init__(self, app: ASGIApp, *, token: str, host: str, port: int) -> None:
        self.app = app
        self.token = token
        self.session = secrets.token_urlsafe(32)
        self.host = host
        self.port = port
        self.cookie = f"dyntex-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websockets here
            await send({"type": "websocket.close", "code": 1008})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(k, v) for k, v in message.get("headers", []) if k.decode().title() not in HEADERS]
                message["headers"] = kept + [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
            await send(message)

        answer = self.refusal(Request(scope))
        await (answer or self.app)(scope, receive, with_headers)

    def refusal(self, request: Request) -> Response | None:
        """The answer to whoever is not to be answered, or who has just shown the token; None for all others."""
        headers = request.headers
        if not allowed_host(headers.get("host", ""), host=self.host, port=self.port):
            return _refused("this server is not known by that name: open the address that dyntex ui printed")
        if not _same_origin(headers, safe=request.method in SAFE):
            return _refused("the request comes from another page")
        if request.url.path == "/" and "token" in request.query_params and request.method == "GET":
            if not _equal(request.query_params["token"], self.token):
                return _refused("the token is wrong: open the address that dyntex ui printed")
            welcome = RedirectResponse("/", status_code=303)
            welcome.set_cookie(self.cookie, self.session, httponly=True, samesite="strict", path="/")
            return welcome
        if not _equal(request.cookies.get(self.cookie, ""), self.session):
            return _refused("the token is missing: open the address that dyntex ui printed in the terminal")
        return None


def allowed_host(header: str, *, host: str, port: int) -> bool:
    """Whether a Host header names this server.

    A page of another site can make its own name stand for this machine (DNS rebinding); it cannot make a number do so.
    """
    name, colon, number = header.lower().rpartition(":")
    if not colon or not number.isdecimal():
        name, number = header.lower(), "80"
    if int(number) != port:
        return False
    if name in LOCAL or name.strip("[]") == host.lower():
        return True
    if is_loopback(host):
        return False
    return _is_address(name.strip("[]")) or name in (socket.gethostname().lower(), socket.getfqdn().lower())


def is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def address(host: str, port: int, token: str) -> str:
    """What a person opens."""
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):
        name = socket.gethostname()
    return f"http://{name}:{port}/?{urlencode({'token': token})}"


def _same_origin(headers: Headers, *, safe: bool) -> bool:
    """Whether a request comes from the page, or, where it changes nothing, from a person who opens it."""
    site = headers.get("sec-fetch-site", "none" if safe else "same-origin")
    opened = safe and headers.get("sec-fetch-mode") == "navigate"
    if site not in ("same-origin", "none") and not opened:
        return False
    own = f"http://{headers.get('host', '')}"
    origin = headers.get("origin")
    return (origin is None or origin == own) if safe else origin == own


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())


def _refused(reason: str) -> Response:
    return PlainTextResponse(f"{reason}\n", status_code=403)
