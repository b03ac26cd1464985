"""A FastAPI app with the things that FastAPI apps do; served as app.py in a folder of its own."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

HERE = Path(__file__).parent
done: list[str] = []
gone = threading.Event()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, object]]:
    """Leave something for the requests, and a file when it is over."""
    yield {"opened": "by the lifespan", "loop": id(asyncio.get_running_loop())}
    (HERE / "stopped").touch()


app = FastAPI(lifespan=lifespan)
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


class Item(BaseModel):
    """What `/items` takes."""

    name: str
    price: float


@app.get("/")
async def page() -> dict[str, str]:
    """Answer at once."""
    return {"page": "front"}


@app.get("/sync")
def in_a_thread() -> dict[str, object]:
    """Be an endpoint that Starlette runs in a thread."""
    return {"main": threading.current_thread() is threading.main_thread()}


@app.get("/state")
async def state(request: Request) -> dict[str, object]:
    """Show what the lifespan left, and that the loop is the same."""
    return {"opened": request.state.opened, "same": request.state.loop == id(asyncio.get_running_loop())}


async def database() -> AsyncIterator[str]:
    """Be a dependency that is closed after the response."""
    yield "database"
    done.append("closed")


@app.post("/items")
async def items(item: Item, what: Annotated[str, Depends(database)]) -> dict[str, object]:
    """Take JSON."""
    return {"name": item.name, "price": item.price * 2, "from": what}


@app.put("/body")
async def body(request: Request) -> dict[str, object]:
    """Take a body of any size, as it comes."""
    digest, size = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        size += len(piece)
    return {"size": size, "digest": digest.hexdigest()}


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Stream from an async generator."""

    async def parts() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"part %d\n" % number
            await asyncio.sleep(0)

    return StreamingResponse(parts(), media_type="text/plain")


@app.get("/stream/sync")
def stream_sync() -> StreamingResponse:
    """Stream from a generator."""

    def parts() -> Iterator[bytes]:
        for number in range(5):
            yield b"part %d\n" % number

    return StreamingResponse(parts(), media_type="text/plain")


@app.get("/events")
async def events() -> StreamingResponse:
    """Send server-sent events until the client goes."""
    gone.clear()

    async def ticks() -> AsyncIterator[str]:
        try:
            while True:
                yield "data: tick\n\n"
                await asyncio.sleep(0.02)
        finally:
            gone.set()

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.get("/events/gone")
async def events_gone() -> bool:
    """Say whether the last event stream has ended."""
    return gone.is_set()


@app.post("/later")
async def later(tasks: BackgroundTasks, note: str) -> dict[str, str]:
    """Do something after the answer."""
    tasks.add_task(done.append, note)
    return {"accepted": note}


@app.get("/done")
async def what_is_done() -> list[str]:
    """Say what was done after answers."""
    return done


@app.get("/file")
async def file() -> FileResponse:
    """Send a file."""
    return FileResponse(HERE / "static" / "download.bin", filename="download.bin")


@app.get("/view")
async def view() -> Response:
    """Answer with a memoryview."""
    return Response(memoryview(b"a view of memory"), media_type="text/plain")


@app.get("/boom")
async def boom() -> None:
    """Fail."""
    raise RuntimeError("boom")


@app.get("/teapot")
async def teapot() -> None:
    """Refuse."""
    raise HTTPException(418, "short and stout")


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    """Send everything back, in its own kind, until the client goes."""
    await socket.accept(subprotocol="echo" if "echo" in socket.scope["subprotocols"] else None)
    try:
        while True:
            message: dict[str, Any] = dict(await socket.receive())
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        return


@app.websocket("/count")
async def count(socket: WebSocket) -> None:
    """Send three numbers and end the connection with a reason."""
    await socket.accept(headers=[(b"x-counted", b"yes")])
    for number in range(3):
        await socket.send_json(number)
    await socket.close(4001, "counted")


@app.websocket("/refused")
async def refused(socket: WebSocket) -> None:
    """Turn the client away."""
    await socket.close()


@app.websocket("/broken")
async def broken(socket: WebSocket) -> None:
    """Fail after the client was let in."""
    await socket.accept()
    await socket.receive_text()
    raise RuntimeError("broken socket")


@app.websocket("/unborn")
async def unborn(_socket: WebSocket) -> None:
    """Fail before the client was let in."""
    raise RuntimeError("unborn socket")


@app.websocket("/flood")
async def flood(socket: WebSocket) -> None:
    """Send without listening, until the client is gone."""
    await socket.accept()
    try:
        while True:
            await socket.send_text("drop " * 1000)
    finally:
        done.append("flood ended")
