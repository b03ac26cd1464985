"""The servers compared, each started as its documentation (or Flask's, for it) says."""

from __future__ import annotations

from typing import NamedTuple


class Peer(NamedTuple):
    """One way to serve an app.

    Args:
        name: as the tables show it.
        command: words, in which {app}, {module}, {attribute} and {port} are filled in.
        source: where that command is recommended.
    """

    name: str
    command: tuple[str, ...]
    source: str

    def words(self, app: str, port: int) -> list[str]:
        """Return the command for `app` ("module:attribute")."""
        module, _, attribute = app.partition(":")
        return [word.format(app=app, module=module, attribute=attribute, port=port) for word in self.command]


_GUNICORN = ("gunicorn", "-b", "127.0.0.1:{port}", "--no-control-socket")

HOTPLATE = Peer("hotplate", ("hotplate", "run", "{app}", "--bind", "127.0.0.1:{port}"), "README")
UNCACHED = HOTPLATE._replace(name="hotplate --cache off", command=(*HOTPLATE.command, "--cache", "off"))

PEERS = (
    Peer("gunicorn -w 4", (*_GUNICORN, "-w", "4", "{app}"), "Flask docs, Deploying, Gunicorn"),
    Peer(
        "gunicorn gthread",
        (*_GUNICORN, "-w", "4", "-k", "gthread", "--threads", "4", "{app}"),
        "gunicorn docs, Settings, threads: 2-4 x cores",
    ),
    Peer("gunicorn gevent", (*_GUNICORN, "-k", "gevent", "{app}"), "Flask docs, Deploying, gevent"),
    Peer(
        "uWSGI",
        ("uwsgi", "--http", "127.0.0.1:{port}", "--master", "-p", "4", "-w", "{app}", "--disable-logging"),
        "Flask docs, Deploying, uWSGI",
    ),
    Peer("waitress", ("waitress-serve", "--host", "127.0.0.1", "--port", "{port}", "{app}"), "Flask docs, Waitress"),
    Peer("granian", ("granian", "--interface", "wsgi", "--port", "{port}", "{app}"), "Granian README, Quickstart"),
    Peer("flask run", ("flask", "--app", "{app}", "run", "--port", "{port}"), "Flask docs, Quickstart"),
)

EMBEDDED = Peer(
    "bare data plane", ("python", "-m", "benchmarks.bare", "{app}", "{port}"), "Granian embedded, without our layers"
)
GRANIAN_WSGI = Peer(
    "granian's WSGI server",
    (
        *("granian", "--interface", "wsgi", "--workers", "2", "--blocking-threads", "1"),
        *("--port", "{port}", "--log-level", "error", "{app}"),
    ),
    "the same threads, WSGI in Rust",
)
