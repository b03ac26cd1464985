"""A Starlette app: plain routes, middleware, a mounted WSGI app, a WebSocket; served as app.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket


class Page(HTTPEndpoint):
    """The front page."""

    async def get(self, request: Request) -> Response:
        """Answer with what arrived."""
        return JSONResponse(
            {
                "client": request.client is not None,
                "path": request.url.path,
                "query": request.query_params.multi_items(),
                "state": request.state.shelf,
                "version": request.scope["http_version"],
            }
        )

    async def post(self, request: Request) -> Response:
        """Answer with the body."""
        return Response(await request.body())


class Shout(WebSocketEndpoint):
    """A WebSocket that answers in capitals."""

    encoding = "text"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        """Shout."""
        await websocket.send_text(str(data).upper())


class Stamp(BaseHTTPMiddleware):
    """Adds a header field."""

    async def dispatch(self, request: Request, call_next: Callable[[Request], Any]) -> Response:
        """Stamp the response."""
        response: Response = await call_next(request)
        response.headers["x-stamp"] = "stamped"
        return response


async def long(_request: Request) -> Response:
    """Answer with something that is worth compressing."""
    return PlainTextResponse("word " * 2000)


@asynccontextmanager
async def lifespan(_app: Starlette) -> Any:
    """Leave something for the requests."""
    yield {"shelf": ["a", "b"]}


app = Starlette(
    routes=[
        Route("/long", long),
        WebSocketRoute("/shout", Shout),
        Mount("/deep", routes=[Route("/{name:path}", Page)]),
        Route("/", Page),
    ],
    middleware=[Middleware(Stamp), Middleware(GZipMiddleware)],
    lifespan=lifespan,
)


def legacy(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Be an app of the other kind in the same module."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]
