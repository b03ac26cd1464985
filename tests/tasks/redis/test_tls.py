"""A Redis that is named by rediss:// is spoken to by TLS, whoever names it and whoever speaks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
from celery import Celery

from hotplate.errors import HotplateError
from hotplate.tasks import brokers, found
from hotplate.tasks.admin import reaching
from hotplate.tasks.app import Application
from hotplate.tasks.redis import configure
from tests.support.waiting import DEADLINE
from tests.tasks.redis.tls import PASSWORD, Listener, listener

NAMES = ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "REDIS_URL")
# Several that stand in for each other: the next one is gone on to when the first one is away.
SEVERAL = "redis://127.0.0.1:1/0;{}"


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is named but by the test."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOTPLATE_TASKS_DIR", str(tmp_path))


@pytest.fixture
def redis() -> Iterator[Listener]:
    """Somebody who hangs up."""
    with listener() as listening:
        yield listening


def named(by: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Application:
    """Return an app whose broker is named in one of the ways there are."""
    if by in NAMES:
        monkeypatch.setenv(by, url)
        return Application("shop")
    if by == "the app":
        return Application("shop", broker=url)
    app = Application("shop")
    app.conf.update(broker_url=url, result_backend="cache+memory://")
    return app


def speak(connection: Any) -> None:
    """Say something to a broker that hangs up."""
    with suppress(Exception), connection:  # which error that is does not matter here
        connection.ensure_connection(max_retries=2, interval_start=0, interval_step=0, timeout=5)
        connection.default_channel.client.ping()


def speak_of_results(app: Any) -> None:
    """Say something to a store of results that hangs up."""
    with suppress(Exception):  # the same
        app.backend.client.ping()


@pytest.mark.parametrize("by", ["CELERY_BROKER_URL", "REDIS_URL", "the app", "its settings"])
def test_who_sends_and_who_receives(redis: Listener, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A web worker that sends a task and a task worker that takes one, whatever names the broker."""
    app = named(by, redis.url, monkeypatch)
    with pytest.raises(HotplateError, match="send mail"):
        app.send_task("mail")
    assert redis.heard_only_tls()
    configure(app.conf, owner="shop-0@here")
    with app.connection_for_read() as connection:
        assert connection.transport.owner.slot == "shop-0@here"
    before = len(redis.heard())
    speak(app.connection_for_read())
    assert redis.heard_only_tls()
    assert len(redis.heard()) > before


@pytest.mark.parametrize("scheme", ["rediss", "REDISS", "valkeys"])
def test_each_scheme_that_means_tls(redis: Listener, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """However it is written."""
    app = named("CELERY_BROKER_URL", f"{scheme}://{redis.address}", monkeypatch)
    speak(app.connection_for_write())
    assert redis.heard_only_tls()


def test_the_next_address(redis: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first of several addresses is away, the next one's scheme holds, and its certificate is checked."""
    app = named("CELERY_BROKER_URL", SEVERAL.format(redis.url), monkeypatch)
    speak(app.connection_for_write())
    assert redis.heard_only_tls()
    with app.connection_for_write() as connection:
        assert not connection.transport.client.ssl
        connection.switch(redis.url)
        assert connection.transport.client.ssl["ssl_cert_reqs"].name == "CERT_REQUIRED"


def test_an_operators_command(redis: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which has nothing but an address; one that is given wins over the one in the environment."""
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    app = reaching.application(brokers.described(redis.url, "--broker-url"), "shop")
    with pytest.raises(HotplateError, match="count"), reaching.connected(app, "count"):
        never()
    assert redis.heard_only_tls()


@pytest.mark.parametrize("by", ["the flag", "the file", "the environment"])
def test_the_command_line(redis: Listener, tmp_path: Path, by: str) -> None:
    """`hotplate tasks status`, with an address from each place there is for one."""
    words = ["--broker-url", redis.url] if by == "the flag" else []
    environ = {"CELERY_BROKER_URL": redis.url} if by == "the environment" else {}
    if by == "the file":
        (tmp_path / "hotplate.toml").write_text(f'broker_url = "{redis.url}"\n')
    done = subprocess.run(
        [sys.executable, "-m", "hotplate", "tasks", "status", *words],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        check=False, capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert redis.heard_only_tls(), done
    assert "rediss://" in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


def test_an_app_that_only_lacks_a_broker(redis: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Celery app of its user's own that Hotplate fills in the broker of."""
    monkeypatch.setenv("REDIS_URL", redis.url)
    app = Celery("theirs", set_as_current=False)
    broker = brokers.described("amqp://", "the app")
    completed = found.complete(found.Found(app, "theirs", False, (), False, broker, ()), os.environ)
    speak(completed.app.connection_for_write())
    speak_of_results(app)
    assert redis.heard_only_tls()


@pytest.mark.parametrize("by", ["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "REDIS_URL", "the app", "its settings"])
def test_results(redis: Listener, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Whoever keeps and reads results, whatever names the place."""
    if by == "its settings":
        app = Application("shop")
        app.conf.update(result_backend=redis.url)
    else:
        app = named(by, redis.url, monkeypatch)
    speak_of_results(app)
    assert redis.heard_only_tls()


def test_what_the_user_says_of_tls_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of one's own, and none at all, are for the app to name; its words are left as they are."""
    monkeypatch.setenv("REDIS_URL", "rediss://cache/0")
    app = Application("shop")
    chosen = {"ssl_ca_certs": "/etc/ours.pem", "ssl_cert_reqs": "optional"}
    app.conf.update(broker_use_ssl=chosen, redis_backend_use_ssl=dict(chosen))
    with app.connection_for_write() as connection:
        assert connection.transport.client.ssl == chosen
    assert app.backend.connparams["ssl_ca_certs"] == "/etc/ours.pem"
    for value, told in (("none", "CERT_NONE"), ("required", "CERT_REQUIRED")):
        monkeypatch.setenv("CELERY_BROKER_URL", f"rediss://cache/0?ssl_cert_reqs={value}")
        with Application("other").connection_for_write() as connection:
            assert connection.transport.client.ssl["ssl_cert_reqs"].name == told


def test_tls_may_be_asked_for_by_a_setting_alone(redis: Listener) -> None:
    """`broker_use_ssl=True` with redis:// is TLS, which Kombu would pass over."""
    app = Application("shop", broker=f"redis://{redis.address}")
    app.conf.update(broker_use_ssl=True)
    speak(app.connection_for_write())
    assert redis.heard_only_tls()


def never() -> NoReturn:
    """Fail: nothing gets here."""
    pytest.fail("somebody who hangs up was reached")
