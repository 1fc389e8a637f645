"""The addresses of the page, and what each answers."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dyntex import __version__
from dyntex.errors import DyntexError, InputError, UsageError
from dyntex.ui import requests
from dyntex.ui.catalogue import FOLDER_WORD, catalogue
from dyntex.ui.expectation import expectation
from dyntex.ui.tasks import Task
from dyntex.ui.uploads import NoSpaceError, TooLargeError, place_for, receive
from dyntex.ui.view import JOB_FILES, preview_of, shown_clip, shown_job
from dyntex.ui.workshop import Workshop

STATIC = {path.name: path for path in (Path(__file__).parent / "static").iterdir() if path.is_file()}
MOST_JSON = 2 * 2**20
"""Bytes of a request that is not an upload."""
UPLOAD_SECONDS = 900.0
CLIP_FILES = ("poster.png", "shown.mp4")
Handler = Callable[["Page", Request], Awaitable[Response] | Response]


class Page:
    """The answers, for one folder of clips and jobs."""

    def __init__(self, shop: Workshop, *, max_upload: int, upload_seconds: float = UPLOAD_SECONDS) -> None:
        self.shop = shop
        self.max_upload = max_upload
        self.upload_seconds = upload_seconds

    def index(self, request: Request) -> Response:
        return FileResponse(STATIC["index.html"])

    def static(self, request: Request) -> Response:
        place = STATIC.get(request.path_params["name"])
        return _missing() if place is None else FileResponse(place)

    def start(self, request: Request) -> Response:
        """What can be chosen on the page."""
        about = {"version": __version__, "folder": str(self.shop.folder), "max_upload": self.max_upload}
        return JSONResponse(about | catalogue())

    def clips(self, request: Request) -> Response:
        return JSONResponse([shown_clip(task) for task in self.shop.clips])

    def clip(self, request: Request) -> Response:
        task = self.shop.clips.get(request.path_params["id"])
        return _missing() if task is None else JSONResponse(shown_clip(task))

    def clip_file(self, request: Request) -> Response:
        task = self.shop.clips.get(request.path_params["id"])
        return _file(task, request.path_params["name"], CLIP_FILES)

    def remove_clip(self, request: Request) -> Response:
        task = self.shop.clips.get(request.path_params["id"])
        if task is None:
            return _missing()
        self.shop.remove(task)
        return JSONResponse({})

    async def upload(self, request: Request) -> Response:
        """A clip: the body is the file, and the name is for people."""
        name = requests.clean_name(request.query_params.get("name", "clip"))
        declared = request.headers.get("content-length", "")
        draft = self.shop.clips.draft()
        try:
            place = place_for(draft, name)
            await receive(
                request.stream(),
                place,
                declared=int(declared) if declared.isdecimal() else None,
                most=self.max_upload,
                seconds=self.upload_seconds,
            )
            task = self.shop.clips.add({"kind": "examine", "source": place.name, "name": name}, made=draft)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return JSONResponse(shown_clip(task), status_code=201)

    async def example(self, request: Request) -> Response:
        name = requests.Asked(await _json(request)).word("name", catalogue_names())
        return JSONResponse(shown_clip(self.shop.add_example(name)), status_code=201)

    async def plan(self, request: Request) -> Response:
        """What a job would be: its command line, its seconds and memory, or why it cannot be."""
        data = await _json(request)
        return JSONResponse(await run_in_threadpool(self._plan, data))

    def _plan(self, data: Any) -> dict[str, Any]:
        clip = self.shop.clip(requests.Asked(data).data.get("clip"))
        asked, _ = self._asked(data)
        return {"command": asked["command"], "ending": asked["ending"], "options": asked["options"]} | asdict(
            expectation(self.shop, clip, asked)
        )

    async def add_job(self, request: Request) -> Response:
        data = await _json(request)
        return JSONResponse(await run_in_threadpool(self._add_job, data), status_code=201)

    def _add_job(self, data: Any) -> dict[str, Any]:
        asked, clip = self._asked(data)
        return shown_job(self.shop.add_job(asked, clip=clip))

    def _asked(self, data: Any) -> tuple[dict[str, Any], Task | None]:
        """The request for a job, and its clip."""
        asked = requests.Asked(data)
        kind = asked.word("kind", ["synthesize", "sample", "recover"], "synthesize")
        if kind == "sample":
            before = self.shop.job(str(asked.data.get("of")))
            if not before.status.get("facts", {}).get("has_model"):
                raise UsageError("that job keeps no model: run it again with another seed")
            found = requests.sampling(data, of=before.request, job=before.id, name=before.request["name"])
            return found | {"name": before.request["name"], "clip": before.request.get("clip")}, None
        clip = self.shop.clip(asked.data.get("clip"))
        about, name = clip.status["facts"], clip.request["name"]
        if kind == "recover":
            return requests.recovery(data, clip=about, name=name), clip
        return requests.synthesis(data, clip=about, name=name), clip

    def jobs(self, request: Request) -> Response:
        """All jobs, the newest first."""
        found = [shown_job(task) for task in self.shop.jobs]
        waiting = [job["id"] for job in found if job["state"] == "waiting"]
        for job in found:
            job["ahead"] = waiting.index(job["id"]) if job["id"] in waiting else None
        return JSONResponse(found[::-1])

    def job(self, request: Request) -> Response:
        return JSONResponse(shown_job(self.shop.job(request.path_params["id"])))

    def act(self, request: Request) -> Response:
        task = self.shop.job(request.path_params["id"])
        action = {"cancel": self.shop.cancel, "resume": self.shop.resume}.get(request.path_params["action"])
        if action is None:
            return _missing()
        action(task)
        return JSONResponse(shown_job(task))

    def remove_job(self, request: Request) -> Response:
        self.shop.remove(self.shop.job(request.path_params["id"]))
        return JSONResponse({})

    def job_file(self, request: Request) -> Response:
        task = self.shop.jobs.get(request.path_params["id"])
        name = request.path_params["name"]
        if task is not None and name == "preview.png":
            place = preview_of(task)
            return _missing() if place is None else FileResponse(place)
        return _file(task, name, JOB_FILES)

    def download(self, request: Request) -> Response:
        """A result in a format: at once where it is there, else 202 while it is being written."""
        task = self.shop.job(request.path_params["id"])
        word = request.path_params["format"]
        ending = requests.Asked({"format": "" if word == FOLDER_WORD else f".{word}"}).ending()
        if task.state != "done":
            return _missing()
        asked, facts = task.request, task.status["facts"]
        title = requests.stem(asked["name"]) + f"-{asked['kind']}-{asked['options'].get('seed', 0)}"
        if ending == ".mkv":
            return _attachment(task.folder / "result.mkv", title)
        if ending == asked["ending"] and "file" in facts:
            return _attachment(task.folder / facts["file"], title)
        background = [255, 255, 255] if ending == ".mp4" else None
        more = {"kind": "convert", "source": "result.mkv", "background": background}
        wanted = {"job": task.id, "ending": ending}
        copy = self.shop.once(self.shop.copies, wanted, more=more, source=task.folder / "result.mkv")
        status = copy.status
        if status["state"] == "done":
            return _attachment(copy.folder / status["facts"]["file"], title)
        if status["state"] in ("waiting", "running"):
            return JSONResponse({"state": status["state"]}, status_code=202)
        self.shop.remove(copy)  # the next click tries again
        raise UsageError(status.get("error") or "the file could not be written")


def catalogue_names() -> list[str]:
    return [example["name"] for example in catalogue()["examples"]]


def make_app(page: Page) -> Starlette:
    """The application, whose queue runs while it does."""

    def on(method: Handler) -> Callable[[Request], Any]:
        name = method.__name__
        return getattr(page, name)  # type: ignore[no-any-return]

    routes = [
        Route("/", on(Page.index)),
        Route("/static/{name}", on(Page.static)),
        Route("/api/start", on(Page.start)),
        Route("/api/clips", on(Page.clips)),
        Route("/api/clips", on(Page.upload), methods=["POST"]),
        Route("/api/examples", on(Page.example), methods=["POST"]),
        Route("/api/clips/{id}", on(Page.clip)),
        Route("/api/clips/{id}", on(Page.remove_clip), methods=["DELETE"]),
        Route("/api/clips/{id}/{name}", on(Page.clip_file)),
        Route("/api/plan", on(Page.plan), methods=["POST"]),
        Route("/api/jobs", on(Page.jobs)),
        Route("/api/jobs", on(Page.add_job), methods=["POST"]),
        Route("/api/jobs/{id}", on(Page.job)),
        Route("/api/jobs/{id}", on(Page.remove_job), methods=["DELETE"]),
        Route("/api/jobs/{id}/{action}", on(Page.act), methods=["POST"]),
        Route("/api/jobs/{id}/files/{name}", on(Page.job_file)),
        Route("/api/jobs/{id}/download/{format}", on(Page.download)),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        page.shop.queue.start()
        yield
        await run_in_threadpool(page.shop.queue.stop)

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={DyntexError: _failed, OSError: _failed, ClientDisconnect: _failed},
    )
    app.router.redirect_slashes = False
    return app


async def _json(request: Request) -> Any:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_JSON:
            raise TooLargeError("the request is too large")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is not JSON") from error


def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, OSError):
        return JSONResponse({"error": f"the disk refuses ({error.strerror}): free some space"}, status_code=507)
    known: dict[type[Exception], int] = {TooLargeError: 413, NoSpaceError: 507, InputError: 400, UsageError: 400}
    return JSONResponse({"error": " ".join(str(error).split())}, status_code=known.get(type(error), 500))


def _missing() -> Response:
    return PlainTextResponse("there is no such thing\n", status_code=404)


def _file(task: Task | None, name: str, known: tuple[str, ...]) -> Response:
    """One of the files that a task is known to make."""
    if task is None or name not in known or not (task.folder / name).is_file():
        return _missing()
    return FileResponse(task.folder / name)


def _attachment(place: Path, title: str) -> Response:
    if not place.is_file():
        return _missing()
    return FileResponse(place, filename=re.sub(r"[^\w.-]+", "_", title) + place.suffix)
