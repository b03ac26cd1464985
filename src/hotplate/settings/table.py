"""The one table of settings.

Each row is a field of `Settings`: its type, what it is for, how it is read (`Kind`), its default and why.
Flags, environment names, help texts and docs/settings.md are made from it; nothing else names a setting's default.
"""

from typing import Annotated, Literal, NamedTuple, get_type_hints

from hotplate.settings.binds import DEFAULT_PORT, LOOPBACK, Bind
from hotplate.settings.kinds import Choice, Count, Duration, FilePath, Size, Switch, Text, UrlPath
from hotplate.settings.lists import binds, networks, url_paths
from hotplate.settings.rows import DAY, GROUPS, KIB, MIB, TIB, Row
from hotplate.settings.tasks_rows import TaskSettings


class Settings(TaskSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting, read and checked. Durations are seconds and sizes are bytes.

    It survives `msgspec.json`, which is how a generation gets it from the master.

    Example:
        >>> Settings(workers=2).workers
        2
    """

    target: Annotated[
        str,
        Row(
            "App",
            Text("TARGET", right="module:attribute, module, module:factory() or a file"),
            "The app: module:attribute, module, module:factory() or a file; without it the folder is searched",
            "Searched as `flask run` does, so that an app that starts there starts here.",
            env=("FLASK_APP",),
            example="app:app",
            positional=True,
        ),
    ] = ""
    name: Annotated[
        str,
        Row(
            "App",
            Text(
                "NAME",
                right="1 to 40 letters, digits, dots, dashes or underscores",
                pattern=r"[A-Za-z0-9_][A-Za-z0-9._-]{0,39}",
            ),
            "Name of this instance, for a second one in the same folder",
            "One instance per folder; 40 characters leave room in the 107 bytes of a Unix socket's path.",
        ),
    ] = "default"
    bind: Annotated[
        tuple[Bind, ...],
        Row(
            "Network",
            binds(),
            "Where to listen: host:port, :port, [ipv6]:port, unix:/path or fd://3; may be repeated",
            "Loopback until told otherwise; port 8000 as gunicorn, uvicorn and Granian. PORT changes the port only.",
            env=("PORT",),
        ),
    ] = (Bind(kind="tcp", host=LOOPBACK, port=DEFAULT_PORT),)
    backlog: Annotated[
        int,
        Row(
            "Network",
            Count(1, 65535),
            "Connections the kernel queues per listener before it refuses more",
            "gunicorn and uvicorn: 2048; the kernel lowers it to net.core.somaxconn (listen(2)).",
        ),
    ] = 2048
    http: Annotated[
        Literal["auto", "1", "2"],
        Row(
            "Network",
            Choice(("auto", "1", "2")),
            "HTTP versions to speak",
            "Granian's default: HTTP/2 where the client offers it.",
        ),
    ] = "auto"
    cert: Annotated[
        str,
        Row(
            "Network",
            FilePath(),
            "TLS certificate chain (PEM); needs --key",
            "Plain HTTP until both are given.",
            example="cert.pem",
        ),
    ] = ""
    key: Annotated[
        str,
        Row(
            "Network",
            FilePath(),
            "Private key of the certificate (PEM, not encrypted); needs --cert",
            "As --cert.",
            example="key.pem",
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Row(
            "Network",
            networks(),
            "Peers whose forwarded headers are believed: addresses or networks; may be repeated",
            "None: anybody can send these headers. A Unix socket's peer is always believed: the file's rights decide.",
            flagless="--no-trusted-proxies",
            example="10.0.0.0/8",
        ),
    ] = ()
    workers: Annotated[
        int,
        Row(
            "Processes",
            Count(0, 1024, {"auto": 0}),
            "Worker processes; auto is one per effective core, as many as fit into memory",
            "Puma's `workers :auto`; the 2 x cores + 1 of older guides ignores quotas and memory.",
            env=("WEB_CONCURRENCY",),
            example="4",
        ),
    ] = 0
    threads: Annotated[
        int | Literal["auto"],
        Row(
            "Processes",
            Count(1, 4096, {"auto": "auto"}),
            "Threads per worker for WSGI apps; auto follows measured CPU and wait",
            "Threads = 1 + wait / compute (Goetz, Java Concurrency in Practice, 8.2), measured while running.",
        ),
    ] = "auto"
    max_threads: Annotated[
        int,
        Row(
            "Processes",
            Count(1, 4096),
            "Upper bound of the threads per worker when they follow measurement",
            "500 clients waiting on two workers need 250; Tomcat's maxThreads is 200.",
        ),
    ] = 256
    preload: Annotated[
        Literal["auto", "on", "off"],
        Row(
            "Processes",
            Choice(("auto", "on", "off")),
            "Import the app once and fork the workers from it; auto does so when the app is safe to fork",
            "Measured: 4 workers with a 370 MB model took 412 MB forked and 1476 MB imported one by one.",
        ),
    ] = "auto"
    warmup: Annotated[
        tuple[str, ...],
        Row(
            "Life of a worker",
            url_paths(),
            "Paths requested in every worker before it takes a connection; may be repeated",
            "The front page exercises routing, templates and the database of most apps.",
            flagless="--no-warmup-request",
        ),
    ] = ("/",)
    boot_timeout: Annotated[
        float,
        Row(
            "Life of a worker",
            Duration(1, DAY),
            "How long import and warm-up may take",
            "A model may load for minutes; systemd gives up after 90 s by default, so `deploy` raises that.",
        ),
    ] = 300.0
    timeout: Annotated[
        float,
        Row(
            "Life of a worker",
            Duration(0.1, DAY, zero="never"),
            "How long one request may run before it is ended with 504 and its worker replaced",
            "gunicorn's timeout and the Heroku router's limit: 30 s.",
        ),
    ] = 30.0
    grace: Annotated[
        float,
        Row(
            "Life of a worker",
            Duration(0.1, DAY, zero="at once"),
            "How long requests in flight may take to finish at stop or reload",
            "gunicorn's graceful_timeout, Heroku's and Kubernetes' terminationGracePeriodSeconds: 30 s.",
        ),
    ] = 30.0
    max_memory: Annotated[
        int,
        Row(
            "Life of a worker",
            Size(16 * MIB, 1024 * TIB, zero="no limit"),
            "Private memory at which a worker is replaced, after its replacement is ready",
            "Off: a recycled worker is a remedy for a leak, not a default.",
            example="512MiB",
        ),
    ] = 0
    max_requests: Annotated[
        int,
        Row(
            "Life of a worker",
            Count(0, 10**12, {"never": 0, "off": 0}),
            "Requests after which a worker is replaced, after its replacement is ready",
            "gunicorn's max_requests: 0, never.",
            example="10000",
        ),
    ] = 0
    idle_timeout: Annotated[
        float,
        Row(
            "Life of a worker",
            Duration(1, 366 * DAY, zero="never"),
            "Stop after this long without a request",
            "Never: the first request after a quiet night is to be as fast as any.",
            example="8h",
        ),
    ] = 0.0
    health_path: Annotated[
        str,
        Row(
            "Requests",
            UrlPath(),
            "Path of the health probe, answered even when every thread is busy",
            "GitLab's prefix `/-/`, which no framework routes by itself.",
        ),
    ] = "/-/health"
    limit_request_line: Annotated[
        int,
        Row(
            "Requests",
            Size(256, MIB),
            "Longest request line",
            "Apache's LimitRequestLine: 8190 (gunicorn: 4094); RFC 9112, section 3 asks for at least 8000.",
        ),
    ] = 8190
    limit_request_fields: Annotated[
        int,
        Row(
            "Requests",
            Count(1, 32768),
            "Most header fields in a request",
            "gunicorn and Apache (LimitRequestFields): 100.",
        ),
    ] = 100
    limit_header_size: Annotated[
        int,
        Row(
            "Requests",
            Size(KIB, 16 * MIB),
            "Largest header section of a request, all fields together",
            "Node allows 16 KiB, uvicorn with h11 64 KiB, Go 1 MiB.",
        ),
    ] = 64 * KIB
    limit_body: Annotated[
        int,
        Row(
            "Requests",
            Size(1, 1024 * TIB, zero="no limit"),
            "Largest request body",
            "nginx allows 1 MiB, gunicorn anything; an upload of a photo or a document passes, a full disk does not.",
        ),
    ] = 64 * MIB
    spool_size: Annotated[
        int,
        Row(
            "Requests",
            Size(0, 1024 * MIB),
            "Bodies larger than this go to a temporary file while they arrive",
            "waitress' inbuf_overflow: 512 KiB (Werkzeug's form parser: 500 KiB, Django: 2.5 MiB).",
        ),
    ] = 512 * KIB
    server_header: Annotated[
        bool,
        Row(
            "Requests",
            Switch(),
            "Send Hotplate's version in the Server header (off: the header names `hotplate` without a version)",
            "Off: RFC 9110, section 10.2.4 warns of fine-grained detail.",
        ),
    ] = False
    access_log: Annotated[
        bool,
        Row(
            "Log",
            Switch(),
            "Write one line per request",
            "Off, as gunicorn and Granian: it costs time in every request.",
        ),
    ] = False
    log_format: Annotated[
        Literal["text", "json"],
        Row("Log", Choice(("text", "json")), "Form of the log lines", "Text, for people; json for a collector."),
    ] = "text"

    def __repr__(self) -> str:
        """Return what differs from the defaults, without secrets: it may end in a log or a traceback."""
        return f"Settings({', '.join(f'{name}={text}' for name, text in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """Return the same for rich."""
        rows = [(name, getattr(self, name), default, row.kind) for name, default, row in SETTINGS.values()]
        return [(name, kind.show(value)) for name, value, default, kind in rows if value != default]


class Setting(NamedTuple):
    """One row of the table with its name and default."""

    name: str
    default: object
    row: Row

    @property
    def flag(self) -> str:
        """The flag's long form, such as `--max-memory`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its own environment name, such as `HOTPLATE_MAX_MEMORY`."""
        return PREFIX + self.name.upper()


PREFIX = "HOTPLATE_"


def _rows() -> dict[str, Setting]:
    hints = get_type_hints(Settings, include_extras=True)
    defaults = Settings()
    rows = [Setting(name, getattr(defaults, name), hints[name].__metadata__[0]) for name in Settings.__struct_fields__]
    return {row.name: row for row in sorted(rows, key=lambda row: GROUPS.index(row.row.group))}


SETTINGS: dict[str, Setting] = _rows()
