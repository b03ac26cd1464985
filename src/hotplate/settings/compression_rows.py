"""The part of the settings table that is about compression."""

from typing import Annotated

from hotplate.settings.cache_rows import CacheSettings
from hotplate.settings.kinds import Size, Switch
from hotplate.settings.lists import Listed
from hotplate.settings.refused import RefusedError
from hotplate.settings.rows import MIB, Row

_CODINGS = ("zstd", "br", "gzip")


def _coding(text: str) -> str:
    name = text.lower()
    if name not in _CODINGS:
        raise RefusedError("it is not a content coding Hotplate knows", "some of " + ", ".join(_CODINGS))
    return name


class CompressionSettings(CacheSettings, frozen=True, kw_only=True):
    """Which responses are compressed, and how; see `Settings`."""

    compress: Annotated[
        bool,
        Row(
            "Compression",
            Switch(),
            "Compress responses for clients that ask for it",
            "On: text shrinks to a fifth. What the app has compressed, and what would not shrink, is left alone.",
        ),
    ] = True
    compress_min: Annotated[
        int,
        Row(
            "Compression",
            Size(0, 1024 * MIB),
            "Smallest body that is compressed",
            "Flask-Compress and Starlette: 500 bytes; less than that fits into one packet anyway.",
        ),
    ] = 500
    compress_codings: Annotated[
        tuple[str, ...],
        Row(
            "Compression",
            Listed(_coding, metavar="CODING", right="some of " + ", ".join(_CODINGS)),
            "Content codings to offer, the preferred one first; may be repeated",
            "The cheapest first: on 50 KB of JSON zstd took a quarter of brotli's time and 4 % more bytes, gzip 20 %.",
            example="br",
        ),
    ] = _CODINGS
