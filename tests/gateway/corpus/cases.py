"""Requests as bytes, each with what becomes of it: at the bare data plane, and behind the layers of hygiene.

Written from RFC 9112, 9110 and 3986, along the categories that public corpora of other servers have. `plane` 200 means
that Granian lets it reach Python, another number is its own answer; `ours` is what Hotplate answers.
"""

from __future__ import annotations

from typing import NamedTuple

HOST = b"Host: a.example\r\n"


class Case(NamedTuple):
    """One request.

    Args:
        name: what is special about it.
        data: the bytes to send.
        plane: status at the bare data plane, whose app answers 200; 101 for an accepted WebSocket.
        ours: status behind hygiene.
        ends: whether the client says that it has nothing more to send, so that waiting for the rest is no answer.
    """

    name: str
    data: bytes
    plane: int
    ours: int
    ends: bool = False


def _get(target: bytes, fields: bytes = HOST, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"%s %s %s\r\n%s\r\n" % (method, target, version, fields)


def _post(fields: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return b"POST / %s\r\n%s%s\r\n%s" % (version, HOST, fields, body)


def _chunked(body: bytes, fields: bytes = b"") -> bytes:
    return _post(b"Transfer-Encoding: chunked\r\n" + fields, body)


LAST = b"0\r\n\r\n"
_CL = b"Content-Length: %s\r\n"
_TE = b"Transfer-Encoding: %s\r\n"
_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def _websocket(key: bytes = _KEY, fields: bytes = b"", method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    handshake = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
    return _get(b"/", HOST + handshake % key + fields, method, version)


HOSTS = (
    Case("host", _get(b"/"), 200, 200),
    Case("host with port", _get(b"/", b"Host: a.example:8000\r\n"), 200, 200),
    Case("host with an empty port", _get(b"/", b"Host: a.example:\r\n"), 200, 200),
    Case("host is an IPv6 address", _get(b"/", b"Host: [2001:db8::1]:80\r\n"), 200, 200),
    Case("host with an underscore", _get(b"/", b"Host: my_app:80\r\n"), 200, 200),
    Case("two equal hosts", _get(b"/", HOST * 2), 200, 400),
    Case("two different hosts", _get(b"/", HOST + b"Host: b.example\r\n"), 200, 400),
    Case("no host", _get(b"/", b""), 200, 400),
    Case("no host in HTTP/1.0", _get(b"/", b"", version=b"HTTP/1.0"), 200, 200),
    Case("empty host", _get(b"/", b"Host:\r\n"), 200, 400),
    Case("host with user", _get(b"/", b"Host: u@a.example\r\n"), 200, 400),
    Case("host with a space", _get(b"/", b"Host: a b\r\n"), 200, 400),
    Case("host with a path", _get(b"/", b"Host: a.example/x\r\n"), 200, 400),
    Case("host list", _get(b"/", b"Host: a.example, b.example\r\n"), 200, 400),
    Case("host with a named port", _get(b"/", b"Host: a.example:http\r\n"), 200, 400),
    Case("host with a huge port", _get(b"/", b"Host: a.example:65536\r\n"), 200, 400),
    Case("host with a bad IPv6 address", _get(b"/", b"Host: [::1::2]\r\n"), 200, 400),
    Case("host with 8 bits", _get(b"/", b"Host: \xe4.example\r\n"), 200, 400),
    Case("host is only a port", _get(b"/", b"Host: :80\r\n"), 200, 400),
)

TARGETS = (
    Case("absolute-form", _get(b"http://b.example:81/x?y", b""), 200, 200),
    Case("absolute-form with its host", _get(b"http://a.example/x"), 200, 200),
    Case("absolute-form with user", _get(b"http://u:p@b.example/x", b""), 200, 400),
    Case("absolute-form with a huge port", _get(b"http://b.example:99999/x", b""), 200, 400),
    Case("path with two slashes", _get(b"//b.example/x"), 200, 200),
    Case("authority-form", _get(b"b.example:80"), 200, 400),
    Case("a name", _get(b"foo"), 200, 400),
    Case("relative path", _get(b"foo/bar"), 400, 400),
    Case("only a query", _get(b"?q"), 400, 400),
    Case("opaque URI", _get(b"mailto:abc"), 200, 400),
    Case("bad absolute-form", _get(b"s://]ufd/:"), 400, 400),
    Case("GET *", _get(b"*"), 200, 400),
    Case("OPTIONS *", _get(b"*", method=b"OPTIONS"), 200, 200),
    Case("no target", b"GET HTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    Case("percent-encoded UTF-8", _get(b"/%C3%A4"), 200, 200),
    Case("percent-encoded Latin-1", _get(b"/%E4"), 200, 200),
    Case("percent-encoded slash", _get(b"/a%2Fb"), 200, 200),
    Case("percent-encoded line end", _get(b"/a%0D%0Ab"), 200, 200),
    Case("percent-encoded NUL", _get(b"/a%00b"), 200, 400),
    Case("percent without digits", _get(b"/%zz"), 200, 400),
    Case("percent at the end", _get(b"/a%"), 200, 400),
    Case("stray percent in the query", _get(b"/?discount=50%"), 200, 200),
    Case("raw UTF-8", _get(b"/\xc3\xa4"), 200, 400),
    Case("raw UTF-8 in the query", _get(b"/?\xc3\xa4"), 200, 400),
    Case("raw Latin-1", _get(b"/\xe4"), 400, 400),
    Case("control byte", _get(b"/\x01"), 400, 400),
    Case("control byte in the query", _get(b"/?\x01"), 400, 400),
    Case("DEL", _get(b"/\x7f"), 400, 400),
    Case("tab", _get(b"/\ta"), 400, 400),
    Case("quotes and brackets", _get(b'/"<>'), 400, 400),
    Case("65,535 bytes", _get(b"/" + b"a" * 65534), 414, 414),
    Case("9,000 bytes", _get(b"/" + b"a" * 9000), 200, 414),
)

LINES = (
    Case("two spaces", _get(b" /"), 400, 400),
    Case("space after the version", _get(b"/", version=b"HTTP/1.1 "), 400, 400),
    Case("tabs for spaces", b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    Case("line feeds for spaces", b"GET\n/\nHTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    Case("carriage return alone", b"GET / HTTP/1.1\r" + HOST + b"\r\n", 400, 400),
    Case("HTTP/0.9", b"GET /\r\n\r\n", 400, 400),
    Case("HTTP/0.9 by name", _get(b"/", version=b"HTTP/0.9"), 400, 400),
    Case("HTTP/1.2", _get(b"/", version=b"HTTP/1.2"), 400, 400),
    Case("HTTP/1.10", _get(b"/", version=b"HTTP/1.10"), 400, 400),
    Case("HTTP/2.0", _get(b"/", version=b"HTTP/2.0"), 400, 400),
    Case("lower-case http", _get(b"/", version=b"http/1.1"), 400, 400),
    Case("another protocol", _get(b"/", version=b"FTP/1.1"), 400, 400),
    Case("one empty line before", b"\r\n" + _get(b"/"), 200, 200),
    Case("lower-case method", _get(b"/", method=b"get"), 200, 400),
    Case("mixed-case method", _get(b"/", method=b"Get"), 200, 400),
    Case("method with #", _get(b"/", method=b"GE#T"), 200, 400),
    Case("method of 21 characters", _get(b"/", method=b"ABCDEFGHIJKLMNOPQRSTU"), 200, 400),
    Case("method of 2 characters", _get(b"/", method=b"GO"), 200, 400),
    Case("method that is no token", _get(b"/", method=b"GE(T"), 400, 400),
    Case("method with a colon", _get(b"/", method=b"GET:"), 400, 400),
    Case("method with NUL", _get(b"/", method=b"GET\0"), 400, 400),
    Case("method with 8 bits", _get(b"/", method=b"GET\xff"), 400, 400),
    Case("registered method", _get(b"/", method=b"VERSION-CONTROL"), 200, 200),
    Case("CONNECT", _get(b"b.example:80", method=b"CONNECT"), 200, 501),
    Case("CONNECT to a path", _get(b"/", method=b"CONNECT"), 200, 501),
    Case("PRI", _get(b"/", method=b"PRI"), 200, 400),
)

FIELDS = (
    Case("space before the colon", _get(b"/", HOST + b"X : 1\r\n"), 400, 400),
    Case("space before the name", _get(b"/", b" X: 1\r\n" + HOST), 400, 400),
    Case("name that is no token", _get(b"/", HOST + b"X(: 1\r\n"), 400, 400),
    Case("name with 8 bits", _get(b"/", HOST + b"X\xff: 1\r\n"), 400, 400),
    Case("name with NUL", _get(b"/", HOST + b"X\0: 1\r\n"), 400, 400),
    Case("no colon", _get(b"/", HOST + b"XYZ\r\n"), 400, 400),
    Case("no name", _get(b"/", HOST + b": x\r\n"), 400, 400),
    Case("folded", _get(b"/", HOST + b"X: a\r\n b\r\n"), 400, 400),
    Case("value with NUL", _get(b"/", HOST + b"X: a\0b\r\n"), 400, 400),
    Case("value with CR", _get(b"/", HOST + b"X: a\rb\r\n"), 400, 400),
    Case("value with BEL", _get(b"/", HOST + b"X: a\x07b\r\n"), 400, 400),
    Case("value with DEL", _get(b"/", HOST + b"X: a\x7fb\r\n"), 400, 400),
    Case("value with 8 bits", _get(b"/", HOST + b"X: a\xe4b\r\n"), 200, 200),
    Case("name with an underscore", _get(b"/", HOST + b"Content_Length: 4\r\n"), 200, 200),
    Case("two content types", _get(b"/", HOST + b"Content-Type: a/b\r\nContent-Type: c/d\r\n"), 200, 400),
    Case("two authorizations", _get(b"/", HOST + b"Authorization: Basic YTpi\r\n" * 2), 200, 400),
    Case("two cookies", _get(b"/", HOST + b"Cookie: a=1\r\nCookie: b=2\r\n"), 200, 200),
    Case("100 fields", _get(b"/", HOST + b"X-A: a\r\n" * 99), 200, 200),
    Case("101 fields", _get(b"/", HOST + b"X-A: a\r\n" * 100), 431, 431),
    Case("a field of 66,000 bytes", _get(b"/", HOST + b"X: " + b"a" * 66000 + b"\r\n"), 200, 431),
    Case("100-continue", _post(b"Expect: 100-continue\r\n" + _CL % b"1", b"a"), 200, 200),
    Case("another expectation", _post(b"Expect: tea\r\n" + _CL % b"1", b"a"), 200, 417),
    Case("upgrade to h2c", _get(b"/", HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), 200, 200),
    Case("forbidden trailer announced", _chunked(LAST, b"Trailer: X-A, Host\r\n"), 200, 400),
    Case("WebSocket", _websocket(), 101, 101),
    Case("WebSocket with a bad key", _websocket(b"x"), 101, 400),
    Case("WebSocket in HTTP/1.0", _websocket(version=b"HTTP/1.0"), 101, 400),
    Case("WebSocket with a body", _websocket(fields=_CL % b"1", method=b"POST") + b"a", 101, 400),
)

LENGTHS = (
    Case("length", _post(_CL % b"1", b"a"), 200, 200),
    Case("length with zeros before", _post(_CL % b"0001", b"a"), 200, 200),
    Case("length of a GET", _get(b"/", HOST + _CL % b"1") + b"a", 200, 200),
    Case("two different lengths", _post(_CL % b"1" + _CL % b"2", b"ab"), 400, 400),
    Case("length list", _post(_CL % b"1, 1", b"a"), 400, 400),
    Case("length with plus", _post(_CL % b"+1", b"a"), 400, 400),
    Case("length with minus", _post(_CL % b"-1", b"a"), 400, 400),
    Case("minus zero", _post(_CL % b"-0"), 400, 400),
    Case("length with an underscore", _post(_CL % b"1_0", b"0123456789"), 400, 400),
    Case("length with a space", _post(_CL % b"0 1", b"a"), 400, 400),
    Case("hexadecimal length", _post(_CL % b"0x1", b"a"), 400, 400),
    Case("empty length", _post(_CL % b""), 400, 400),
    Case("length beyond 64 bits", _post(_CL % b"99999999999999999999", b"a"), 400, 400),
    Case("body larger than allowed", _post(_CL % b"67108865"), 200, 413, ends=True),
    Case("body cut short", _post(_CL % b"5", b"a"), 200, 400, ends=True),
    Case("identity", _post(_TE % b"identity"), 400, 400),
    Case("chunked in capitals", _post(_TE % b"CHUNKED", LAST), 200, 200),
    Case("gzip, chunked", _post(_TE % b"gzip, chunked", LAST), 200, 501),
    Case("chunked, gzip", _post(_TE % b"chunked, gzip", LAST), 400, 400),
    Case("chunked twice", _post(_TE % b"chunked, chunked", LAST), 200, 400),
    Case("chunked in two fields", _post(_TE % b"chunked" * 2, LAST), 200, 400),
    Case("identity in a field before", _post(_TE % b"identity" + _TE % b"chunked", LAST), 200, 400),
    Case("identity in a field behind", _post(_TE % b"chunked" + _TE % b"identity", LAST), 400, 400),
    Case("unknown coding", _post(_TE % b"xchunked", LAST), 400, 400),
    Case("chunked with a parameter", _post(_TE % b"chunked;q=1", LAST), 400, 400),
    Case("chunked behind a vertical tab", _post(_TE % b"\x0bchunked", LAST), 400, 400),
    Case("empty coding", _post(_TE % b"", LAST), 400, 400),
    Case("chunked in HTTP/1.0", _post(_TE % b"chunked", LAST, b"HTTP/1.0"), 400, 400),
    Case("tab before chunked", _post(b"Transfer-Encoding:\tchunked\r\n", LAST), 200, 200),
)

CHUNKS = (
    Case("one chunk", _chunked(b"1\r\na\r\n" + LAST), 200, 200),
    Case("size with zeros before", _chunked(b"0001\r\na\r\n" + LAST), 200, 200),
    Case("extension", _chunked(b"1;a=b\r\na\r\n" + LAST), 200, 200),
    Case("quoted extension", _chunked(b'1;a="x;y"\r\na\r\n' + LAST), 200, 200),
    Case("extension with LF", _chunked(b"1;a\nb\r\na\r\n" + LAST), 200, 400),
    Case("extension with CR", _chunked(b"1;a\rb\r\na\r\n" + LAST), 200, 400),
    Case("huge extension", _chunked(b"1;" + b"a" * 20000 + b"\r\na\r\n" + LAST), 200, 400),
    Case("space before the size", _chunked(b" 1\r\na\r\n" + LAST), 200, 400),
    Case("size that is no number", _chunked(b"z\r\na\r\n" + LAST), 200, 400),
    Case("size with 0x", _chunked(b"0x1\r\na\r\n" + LAST), 200, 400),
    Case("size with plus", _chunked(b"+1\r\na\r\n" + LAST), 200, 400),
    Case("size with minus", _chunked(b"-1\r\na\r\n" + LAST), 200, 400),
    Case("size with an underscore", _chunked(b"1_0\r\na\r\n" + LAST), 200, 400),
    Case("no size", _chunked(b"\r\na\r\n" + LAST), 200, 400),
    Case("only an extension", _chunked(b" ;a=b\r\na\r\n" + LAST), 200, 400),
    Case("size beyond 64 bits", _chunked(b"fffffffffffffffff\r\na\r\n" + LAST), 200, 400),
    Case("chunk longer than its size", _chunked(b"1\r\nab\r\n" + LAST), 200, 400),
    Case("LF after the size", _chunked(b"1\na\r\n" + LAST), 200, 400),
    Case("LF after the data", _chunked(b"1\r\na\n" + LAST), 200, 400),
    Case("LF after the last size", _chunked(b"1\r\na\r\n0\n\r\n"), 200, 400),
    Case("LF at the end", _chunked(b"1\r\na\r\n0\r\n\n"), 200, 400, ends=True),
    Case("cut in a chunk", _chunked(b"5\r\na"), 200, 400, ends=True),
    Case("cut before the last chunk", _chunked(b"1\r\na\r\n"), 200, 400, ends=True),
    Case("cut before the last line end", _chunked(b"1\r\na\r\n0\r\n"), 200, 400, ends=True),
    Case("announced trailer", _chunked(b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum\r\n"), 200, 200),
    Case("trailer that nobody announced", _chunked(b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"), 200, 400),
    Case("trailer Host", _chunked(b"1\r\na\r\n0\r\nHost: b.example\r\n\r\n"), 200, 400),
    Case("trailer Content-Length", _chunked(b"0\r\nContent-Length: 5\r\n\r\n"), 200, 400),
    Case("trailer Transfer-Encoding", _chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), 200, 400),
    Case("trailer with a bad name", _chunked(b"1\r\na\r\n0\r\nX T: 1\r\n\r\n"), 200, 400),
    Case("trailer without a colon", _chunked(b"1\r\na\r\n0\r\nXYZ\r\n\r\n"), 200, 400),
    Case("folded trailer", _chunked(b"1\r\na\r\n0\r\nX: 1\r\n b\r\n\r\n"), 200, 400),
    Case("200 trailers", _chunked(b"0\r\n" + b"X: a\r\n" * 200 + b"\r\n"), 200, 400),
)

FORBIDDEN_BEHIND_ANNOUNCED = _chunked(
    b"1\r\na\r\n0\r\nX-Sum: 1\r\nHost: b.example\r\nContent-Length: 99\r\nAuthorization: x\r\n\r\n",
    b"Trailer: X-Sum\r\n",
)

# Chunks that leave no doubt where the request ends: only the fields behind them are refused.
WELL_FRAMED = {f"trailer {which}" for which in ("that nobody announced", "Host", "Content-Length", "Transfer-Encoding")}
BADLY_FRAMED = tuple(case for case in CHUNKS if case.ours == 400 and case.name not in WELL_FRAMED)

# What the data plane settles in a way the RFCs allow, without a trace in the scope: nothing above it can refuse these.
# gunicorn 27 refuses them all. Each is harmless here, and why.
SETTLED = (
    # RFC 9112, section 6.1: read by Transfer-Encoding alone, Content-Length removed, connection closed afterwards.
    Case("length, then chunked", _post(_CL % b"3" + _TE % b"chunked", b"1\r\na\r\n" + LAST), 200, 200),
    Case("chunked, then length", _post(_TE % b"chunked" + _CL % b"3", b"1\r\na\r\n" + LAST), 200, 200),
    # RFC 9110, section 8.6: equal values may be replaced by one.
    Case("two equal lengths", _post(_CL % b"1" * 2, b"a"), 200, 200),
    # RFC 9112, section 2.2: a recipient may take a line feed alone for a line's end, and skip empty lines before.
    Case("LF for all line ends", b"GET / HTTP/1.1\nHost: a\n\n", 200, 200),
    Case("LF after a field", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 200, 200),
    Case("three empty lines before", b"\r\n\r\n\r\n" + _get(b"/"), 200, 200),
    # RFC 9112, section 7.1.1: unknown extensions are ignored, so nobody reads their form; the size is the same.
    Case("space after the size", _chunked(b"1 \r\na\r\n" + LAST), 200, 200),
    Case("malformed extension", _chunked(b"1;=\r\na\r\n" + LAST), 200, 200),
    Case("extension with a control byte", _chunked(b"1;a\x01b\r\na\r\n" + LAST), 200, 200),
    # RFC 9110, section 6.5.1: trailer fields may be dropped, and all are; which ones came cannot be told from above, so
    # a Trailer field that names a harmless one lets others come with it. They reach nobody and frame nothing.
    Case("forbidden trailers that nobody announced, behind one that was", FORBIDDEN_BEHIND_ANNOUNCED, 200, 200),
)

# RFC 9112, section 3.2.2 wants the target's host; the data plane tells only of the Host field where there is one.
# Section 3.2 knows no fragments; the data plane drops it. gunicorn 27 takes both the same way.
TOLERATED = (
    Case("absolute-form with another host", _get(b"http://b.example/x"), 200, 200),
    Case("odd scheme", _get(b"ftp+x://b.example/x"), 200, 200),
    Case("fragment", _get(b"/a#b"), 200, 200),
)

REFUSABLE = (*HOSTS, *TARGETS, *LINES, *FIELDS, *LENGTHS, *CHUNKS)
CASES = (*REFUSABLE, *SETTLED, *TOLERATED)
