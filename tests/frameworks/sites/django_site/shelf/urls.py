"""Pages of the project: sync and async views, the ORM, streams, files and a form."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from shelf.models import Book  # type: ignore[import-not-found]  # it is, where the project is served


def front(request: HttpRequest) -> HttpResponse:
    """Say which protocol handles the request."""
    return JsonResponse({"kind": type(request).__name__, "path": request.path, "q": request.GET.getlist("q")})


def books(_request: HttpRequest) -> HttpResponse:
    """List the books in the database."""
    return JsonResponse({"books": [str(book) for book in Book.objects.order_by("pk")]})


async def books_async(_request: HttpRequest) -> HttpResponse:
    """List them with the async ORM."""
    await asyncio.sleep(0)
    return JsonResponse({"books": [str(book) async for book in Book.objects.order_by("pk")]})


@csrf_exempt  # type: ignore[untyped-decorator]  # Django ships no types
def add(request: HttpRequest) -> HttpResponse:
    """Add a book."""
    book = Book.objects.create(title=request.POST["title"])
    return JsonResponse({"pk": book.pk}, status=201)


@csrf_exempt  # type: ignore[untyped-decorator]  # Django ships no types
def upload(request: HttpRequest) -> HttpResponse:
    """Take a file; Django keeps large ones on disk."""
    sent = request.FILES["file"]
    digest = hashlib.sha256(b"".join(sent.chunks())).hexdigest()
    return JsonResponse({"name": sent.name, "size": sent.size, "digest": digest})


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    """Stream from a generator."""

    def parts() -> Iterator[bytes]:
        for number in range(5):
            yield b"part %d\n" % number

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def stream_async(_request: HttpRequest) -> StreamingHttpResponse:
    """Stream from an async generator."""

    async def parts() -> AsyncIterator[bytes]:
        for number in range(5):
            await asyncio.sleep(0)
            yield b"part %d\n" % number

    return StreamingHttpResponse(parts(), content_type="text/plain")


def file(_request: HttpRequest) -> FileResponse:
    """Send this file."""
    return FileResponse(Path(__file__).open("rb"))


def boom(_request: HttpRequest) -> HttpResponse:
    """Fail."""
    raise RuntimeError("boom")


urlpatterns = [
    path("", front),
    path("books", books),
    path("books/async", books_async),
    path("add", add),
    path("upload", upload),
    path("stream", stream),
    path("stream/async", stream_async),
    path("file", file),
    path("boom", boom),
]
