"""Which media types shrink when they are compressed.

The facts are those of mime-db (1.35), which takes them from the IANA registry, Apache and nginx, and marks what is
compressible: of its 554 types nearly all are text, or JSON or XML by their suffix (RFC 6839). Added is what it does not
judge but is plain text or an uncompressed font, image or model by its definition. Pictures, sound, video, archives,
office documents and WOFF are compressed already.
"""

from __future__ import annotations

_MOST_KEPT = 1024

SUFFIXES = ("+json", "+json-seq", "+xml", "+yaml", "+cbor")
"""Structured syntaxes: a type that ends so is text, or close to it."""

COMPRESSIBLE = frozenset(
    b"application/" + name
    for name in (
        b"cbor",
        b"dart",
        b"ecmascript",
        b"font-sfnt",
        b"graphql",
        b"javascript",
        b"json",
        b"json-seq",
        b"json5",
        b"jsonl",
        b"jwk-set",
        b"mbox",
        b"msgpack",
        b"n-quads",
        b"n-triples",
        b"node",
        b"pem-certificate-chain",
        b"postscript",
        b"relax-ng-compact-syntax",
        b"rtf",
        b"sdp",
        b"sparql-query",
        b"sql",
        b"tar",
        b"toml",
        b"trig",
        b"typescript",
        b"vnd.dart",
        b"vnd.mapbox-vector-tile",
        b"vnd.ms-fontobject",
        b"vnd.ms-opentype",
        b"vnd.msgpack",
        b"vnd.sqlite3",
        b"wasm",
        b"x-font-opentype",
        b"x-font-otf",
        b"x-font-truetype",
        b"x-font-ttf",
        b"x-httpd-php",
        b"x-javascript",
        b"x-json",
        b"x-jsonlines",
        b"x-ndjson",
        b"x-ns-proxy-autoconfig",
        b"x-perl",
        b"x-sh",
        b"x-sql",
        b"x-subrip",
        b"x-tar",
        b"x-tcl",
        b"x-tex",
        b"x-texinfo",
        b"x-virtualbox-hdd",
        b"x-virtualbox-ova",
        b"x-virtualbox-ovf",
        b"x-virtualbox-vbox",
        b"x-virtualbox-vdi",
        b"x-virtualbox-vhd",
        b"x-virtualbox-vmdk",
        b"x-www-form-urlencoded",
        b"x-yaml",
        b"xml",
        b"xml-dtd",
        b"xml-external-parsed-entity",
        b"yaml",
    )
) | frozenset(
    (
        b"font/collection",
        b"font/otf",
        b"font/sfnt",
        b"font/ttf",
        b"image/bmp",
        b"image/cgm",
        b"image/vnd.adobe.photoshop",
        b"image/vnd.dxf",
        b"image/vnd.microsoft.icon",
        b"image/x-icon",
        b"image/x-ms-bmp",
        b"image/x-portable-anymap",
        b"image/x-portable-bitmap",
        b"image/x-portable-graymap",
        b"image/x-portable-pixmap",
        b"image/x-tga",
        b"image/x-xbitmap",
        b"image/x-xpixmap",
        b"message/rfc822",
        b"model/gltf-binary",
        b"model/obj",
        b"model/mtl",
        b"model/step",
        b"model/stl",
        b"x-shader/x-fragment",
        b"x-shader/x-vertex",
    )
)
"""Types besides text/*, and those with one of `SUFFIXES`."""

# Frames of their own length (gRPC's protocol over HTTP/2), compressed message by message where the peers agree on it.
_NEVER = (b"application/grpc", b"application/connect+")

_suffixes = tuple(suffix.encode() for suffix in SUFFIXES)
_known: dict[bytes, bool] = {}


def is_compressible(content_type: bytes) -> bool:
    """Whether a body of this Content-Type is worth compressing.

    Args:
        content_type: value of the field, with its parameters.

    Example:
        >>> is_compressible(b"Text/HTML; charset=utf-8"), is_compressible(b"image/png")
        (True, False)
    """
    known = _known.get(content_type)
    if known is None:
        if len(_known) >= _MOST_KEPT:
            _known.clear()
        _known[content_type] = known = _decide(content_type)
    return known


def is_event_stream(content_type: bytes) -> bool:
    """Whether a response of this type is server-sent events, which may be silent for hours and be many."""
    return content_type[:17].lower() == b"text/event-stream"


def _decide(content_type: bytes) -> bool:
    name = content_type.partition(b";")[0].strip(b" \t").lower()
    if name.startswith(_NEVER):
        return False
    return name.startswith(b"text/") or name in COMPRESSIBLE or name.endswith(_suffixes)
