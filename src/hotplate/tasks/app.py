"""A Celery app like any other, with better defaults below what its user sets, and with the web app around its tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Literal

from celery import Celery, Task

from hotplate.tasks import brokers, configured, defaults, keeping, retrying, sending
from hotplate.tasks.arguments import explained
from hotplate.tasks.untyped import App, Job, Value

WithoutBroker = Literal["fail", "run"]
# Entered around each task; told whether the task runs by itself, as in a worker, or within the code that called it.
Surrounding = Callable[[bool], AbstractContextManager[object]]


class Surrounded(Task):
    """A task that runs within what the web app puts around it, whichever class its user based it on."""

    abstract = True
    # By name, as Celery's own are: only a worker imports them. They count attempts, and park what fails for good.
    # A class that has others of its own keeps them (`Application._surrounded`).
    Strategy = "hotplate.tasks.worker.strategy:counted"
    Request = "hotplate.tasks.worker.request:Request"

    @classmethod
    def bind(cls, app: App) -> App:
        """Take what the app says where the task says nothing; limits of its own move ours out of the way."""
        soft, hard = cls.soft_time_limit, cls.time_limit
        bound = super().bind(app)
        cls.soft_time_limit, cls.time_limit = defaults.limits((soft, cls.soft_time_limit), (hard, cls.time_limit))
        return bound

    def __call__(self, *args: Value, **kwargs: Value) -> Value:
        """Run within the app's surroundings."""
        request = self.request
        alone = not (request.called_directly or request.is_eager)
        with ExitStack() as stack:
            for surrounding in getattr(self.app, "surroundings", ()):
                stack.enter_context(surrounding(alone))
            return super().__call__(*args, **kwargs)

    def apply_async(self, args: Value = None, kwargs: Value = None, *more: Value, **options: Value) -> Value:
        """Send it; arguments that cannot travel are named."""
        retrying.note(self, options.get("task_id"))
        with explained(self, args, kwargs, options):
            return super().apply_async(args, kwargs, *more, **options)

    def retry(
        self, args: Value = None, kwargs: Value = None, exc: Value = None, *more: Value, **options: Value
    ) -> Value:
        """Send the next try; nothing is lost or overwritten by it."""
        with retrying.asking(self, exc):
            return super().retry(args, kwargs, exc, *more, **options)


class Application(Celery):
    """`celery.Celery` as `hotplate.tasks.celery` makes it.

    Args:
        main: its name, which the names of tasks in `__main__` and the file of the embedded broker are made from.
        without_broker: what becomes of a task while the broker is away: "fail" raises, "run" runs it in the caller.
        **options: as `celery.Celery` takes them.
    """

    # Puts a web framework's app around this one; set where frameworks are known.
    attach: Callable[[Application, object], None] | None = None

    def __init__(self, main: str | None = None, *, without_broker: WithoutBroker = "fail", **options: Value) -> None:
        self.without_broker = without_broker
        self.surroundings: list[Surrounding] = []
        self.web: object = None
        self.fallback = brokers.choose(os.environ, main or "app")
        self._based: dict[type, type] = {}
        super().__init__(main, **options)
        self.on_after_configure.connect(self._lay_defaults, weak=False)

    def init_app(self, app: object) -> None:
        """Put a web app around the tasks, as Flask's extensions do; the same as giving it to `celery()`.

        Args:
            app: of Flask, FastAPI, Starlette or Django.
        """
        if Application.attach is not None:
            Application.attach(self, app)

    def task(self, *args: Value, **options: Value) -> Value:
        """Make a task; it belongs to this app alone.

        Celery's own gives it to every app that is made later, too: where a factory makes an app per test, the second
        app would run the first one's functions. `shared_task` is what shares.
        """
        options.setdefault("shared", False)
        return super().task(*args, **options)

    def create_task_cls(self) -> type:
        """Return the base class of this app's tasks."""
        return self._surrounded(super().create_task_cls())

    def register_task(self, task: Job, **options: Value) -> Value:
        """Register a task that was written as a class."""
        if isinstance(task, type):
            task = self._surrounded(task)
        elif not isinstance(task, Surrounded):
            task.__class__ = self._surrounded(type(task))
        return super().register_task(task, **options)

    def send_task(self, name: str, args: Value = None, kwargs: Value = None, *more: Value, **options: Value) -> Value:
        """Send a task by name; fails soon and clearly where it cannot."""
        publish = super().send_task
        if self.broker().kind == "redis":
            options["headers"] = sending.dated(options.get("headers"))

        def send() -> Value:
            return publish(name, args, kwargs, *more, **options)

        task = options.get("task_type") or self._tasks.get(name)
        with explained(task, args, kwargs, options, name):
            return sending.send(self, sending.Order(name, task, args, kwargs, options), send)

    def connection_for_write(self, url: Value = None, **options: Value) -> Value:
        """Return a connection for those who send: it does not wait for a broker that is away."""
        kind = self.broker().kind
        ours = defaults.settings(kind).get("broker_transport_options", {})
        users = {name: value for name, value in self.conf.broker_transport_options.items() if ours.get(name) != value}
        given = options.pop("transport_options", None) or {}
        if self.conf.broker_connection_timeout == defaults.CONNECT_TIMEOUT:
            options.setdefault("connect_timeout", sending.CONNECT_TIMEOUT)
        merged = {**ours, **sending.patience(kind), **users, **given}
        return super().connection_for_write(url, transport_options=merged, **options)

    def _get_backend(self) -> Value:
        return keeping.store(self, super()._get_backend)

    def broker(self) -> brokers.Broker:
        """Return the broker as configured now."""
        return describe(self)

    def configure_from(self, config: Callable[[], Mapping[str, Value]]) -> None:
        """Read settings from a web app's configuration, when they are needed and as they are then.

        Args:
            config: returns it. Its "CELERY" is a mapping of Celery's names in lower case, as Flask documents; single
                ones such as "CELERY_TIMEZONE" count, too.
        """
        self.config_from_object(configured.FromWeb(config))

    def _task_from_fun(self, fun: Value, name: Value = None, base: Value = None, **options: Value) -> Value:
        return super()._task_from_fun(fun, name=name, base=self._surrounded(base) if base else None, **options)

    def _surrounded(self, base: type) -> type:
        """Return a class that does what `base` does, within the app's surroundings."""
        if issubclass(base, Surrounded):
            return base
        if base not in self._based:
            named = {"__module__": base.__module__, "__doc__": base.__doc__, "abstract": True}
            if "name" in vars(base):
                named["name"] = vars(base)["name"]
            chosen = {name: getattr(base, name) for name in ("Strategy", "Request")}
            named |= {name: value for name, value in chosen.items() if value != getattr(Task, name)}
            self._based[base] = type(base.__name__, (Surrounded, base), named)
        return self._based[base]

    def _lay_defaults(self, source: Value, **_: object) -> None:
        """Put our defaults below all that the user has set and above Celery's own."""
        layer = configured.lowest(source, self.fallback, self.main or "app")
        source.maps.insert(-1, layer)
        source.defaults.insert(-1, layer)


def describe(app: App) -> brokers.Broker:
    """Return the broker of a Celery app as configured now.

    Args:
        app: any Celery app.
    """
    conf = app.conf
    url = configured.text(conf.broker_write_url) or f"{conf.get('broker_transport') or 'amqp'}://"
    if os.environ.get("CELERY_BROKER_URL"):
        return brokers.described(url, "CELERY_BROKER_URL")
    fallback = getattr(app, "fallback", None)
    return fallback if fallback is not None and fallback.url == url else brokers.described(url, "the app")


def make(main: str, without_broker: WithoutBroker, conf: Mapping[str, Value]) -> Application:
    """Make a Celery app, and make it the one that `shared_task` and other threads mean.

    Args:
        main: its name.
        without_broker: see `Application`.
        conf: settings of Celery's, which win over all others.

    Raises:
        HotplateError: USAGE; a setting has a name that Celery does not know, or the broker's URL cannot be used.
    """
    configured.refuse_unknown(conf)
    app = Application(main, without_broker=without_broker)
    app.conf.update(conf)
    app.set_default()
    return app
