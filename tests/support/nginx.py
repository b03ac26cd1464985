"""A private nginx, from whatever configuration a test or Hotplate itself wrote."""

import os
import pwd
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.services import Service, Spec, require, start

# What a test's nginx must have and its configuration need not say. Defaults of the Debian package point to folders that
# only root may write to. Main-level rows come first in the file, http-level rows first in the http block.
_NGINX_MAIN = {
    "daemon": "off",
    "pid": "{folder}/nginx.pid",
    "worker_processes": "1",
    "error_log": "{folder}/error.log info",
    "events": "{{ worker_connections 1024; }}",
}
_NGINX_HTTP = {
    name: "{folder}/" + name.removesuffix("_temp_path")
    for name in (
        "client_body_temp_path",
        "fastcgi_temp_path",
        "proxy_temp_path",
        "scgi_temp_path",
        "uwsgi_temp_path",
    )
} | {"access_log": "{folder}/access.log"}


@contextmanager
def nginx_server(folder: Path, configuration: str) -> Iterator[Service]:
    """Starts nginx with a whole configuration; what it must have here and does not say is put in.

    Args:
        folder: holds the configuration as nginx.conf, and the logs; relative paths start there.
        configuration: says where to listen; take the port from `free_port()`.
    """
    command = require("nginx")
    file = folder / "nginx.conf"
    file.write_text(complete_nginx(configuration, folder))
    pid_file = folder / _directive(file.read_text(), "pid")
    spec = Spec(
        name="nginx",
        command=[command, "-p", folder, "-e", folder / "error.log", "-c", file],
        folder=folder,
        # Written once the listening sockets are open.
        is_ready=lambda: pid_file.exists() and pid_file.read_text().strip() != "",
    )
    with start(spec) as service:
        yield service


def complete_nginx(configuration: str, folder: Path) -> str:
    """Returns the configuration with every directive a private nginx must have; those it has already are left alone."""
    main = dict(_NGINX_MAIN)
    if os.geteuid() == 0:
        main["user"] = pwd.getpwuid(0).pw_name  # else its workers could not enter root's temporary folders
    head = _missing_directives(main, configuration, folder)
    inner = _missing_directives(_NGINX_HTTP, configuration, folder)
    configuration = re.sub(r"(?m)^(\s*http\s*\{)", lambda match: match[1] + "\n" + inner, configuration, count=1)
    return head + configuration


def _missing_directives(wanted: dict[str, str], configuration: str, folder: Path) -> str:
    lines = [
        f"{name} {value.format(folder=folder)}" + ("" if value.endswith("}") else ";")
        for name, value in wanted.items()
        if not _directive(configuration, name)
    ]
    return "".join(f"{line}\n" for line in lines)


def _directive(configuration: str, name: str) -> str:
    match = re.search(rf"(?:^|[;{{}}])\s*{name}\s*([^;{{]*[;{{])", configuration, re.MULTILINE)
    return match[1].rstrip(";").strip() if match else ""
