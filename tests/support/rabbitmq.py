"""A private RabbitMQ broker that may be stopped, killed, frozen and started again where it was.

Erlang is started in the foreground, and so is the port mapper it registers with (epmd): both are children of ours that
end by their process id and with us, instead of daemons that outlive whoever needed them. Everything listens on
127.0.0.1 only, and everything written, the Erlang cookie included, lies in one folder, so it runs as any user.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

from tests.support.services import (
    Restartable,
    Service,
    Spec,
    accepts_connections,
    free_port,
    require,
    skip_for_want_of,
    start,
    wait_until,
)

# The protocol's first words (AMQP 0-9-1, section 4.2.2); a server that is up answers with a method frame.
_HELLO, _METHOD_FRAME = b"AMQP\x00\x00\x09\x01", b"\x01"
# One scheduler and a small process table: 125 MB of memory instead of 160, and no fight over a test machine's cores.
_ERLANG = "+S 1:1 +A 4 -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
_CONFIGURATION = """\
listeners.tcp.local = 127.0.0.1:{port}
disk_free_limit.absolute = 1MB
log.console = true
log.console.level = warning
log.file = false
"""


class RabbitMQ(Restartable):
    """A broker on a port of its own, as often started as a test likes.

    Args:
        folder: where its data, its log and its cookie are; survives a restart.
        running: what ends with the tests.
    """

    def __init__(self, folder: Path, running: ExitStack) -> None:
        super().__init__(running)
        self.folder = folder
        self.port = free_port()
        self._mapper_port, self._distribution_port = free_port(), free_port()
        self._home = folder / "home"
        self._home.mkdir()
        (folder / "enabled_plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(_CONFIGURATION.format(port=self.port))
        self._mapper = self._started_mapper()
        self.start()

    @property
    def url(self) -> str:
        """Address of the virtual host "/"; tests had better take one of their own."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def log(self) -> Path:
        """All it wrote."""
        return self.folder / "rabbitmq.log"

    @property
    def pids(self) -> tuple[int, int]:
        """Process ids of the broker and of its port mapper."""
        return self._pid, self._mapper.pid

    def spec(self) -> Spec:
        """Return how it is started."""
        return Spec(
            name="rabbitmq",
            command=[_script()],
            folder=self.folder,
            is_ready=self.answers,
            environ=self._environ(),
        )

    def answers(self) -> bool:
        """Say whether it speaks AMQP."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=5)) as connection:
            connection.sendall(_HELLO)
            return connection.recv(1) == _METHOD_FRAME

    @contextmanager
    def virtual_host(self) -> Iterator[str]:
        """Make a virtual host, yield its address, and remove it with its queues afterwards."""
        name = f"test-{uuid4().hex[:12]}"
        self.eval(
            f'ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>), '
            f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, '
            f'<<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
        )
        try:
            yield f"amqp://guest:guest@127.0.0.1:{self.port}/{name}"
        finally:
            self.start()
            self.eval(f'rabbit_vhost:delete(<<"{name}">>, <<"tests">>).')

    def eval(self, expression: str) -> str:
        """Have the broker evaluate an Erlang expression, which ends in a full stop, and return what it says.

        Takes 10 ms, where rabbitmqctl, which starts an Erlang of its own, takes seconds.
        """
        cookie = (self._home / ".erlang.cookie").read_text()
        caller = max(Path("/usr/lib/erlang").glob("erts-*/bin/erl_call"))
        said = subprocess.run(
            [caller, "-n", self._node, "-c", cookie, "-e"],
            check=True,
            input=f"{expression}\n".encode(),
            capture_output=True,
            env={**os.environ, **self._environ()},
        )
        answer = said.stdout.decode()
        if not answer.startswith("{ok, "):
            message = f"{expression} was answered with {answer or said.stderr.decode()}"
            raise AssertionError(message)
        return answer.removeprefix("{ok, ").removesuffix("}")

    @property
    def _node(self) -> str:
        return f"hotplate{self.port}@localhost"

    def _environ(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            "HOME": str(self._home),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",  # the machine's own is not ours
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_MAX_NUMBER_OF_PROCESSES": "65536",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
            # Its script then becomes Erlang instead of staying as Erlang's parent.
            "detached": "1",
        }

    def _started_mapper(self) -> Service:
        spec = Spec(
            name="epmd",
            command=[require("epmd"), "-address", "127.0.0.1", "-port", str(self._mapper_port)],
            folder=self.folder,
            is_ready=lambda: accepts_connections(self._mapper_port),
        )
        return self._running.enter_context(start(spec))


@contextmanager
def rabbitmq_server(folder: Path) -> Iterator[RabbitMQ]:
    """Start a RabbitMQ broker in an empty folder; it takes about five seconds."""
    with ExitStack() as running:
        server = RabbitMQ(folder, running)
        yield server
        server.stop()
    wait_until(lambda: not accepts_connections(server.port), what="RabbitMQ is gone")


def _script() -> Path:
    """Return the newest RabbitMQ's own script: the one on PATH is Debian's, which insists on an account."""
    scripts = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if not scripts:
        skip_for_want_of("rabbitmq-server")
    return scripts[-1]
