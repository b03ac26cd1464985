"""What the members of the lists about tasks may be: queues."""

from hotplate.settings.lists import Listed
from hotplate.settings.refused import RefusedError

_HINT = "names of queues, such as celery,mail, or auto"
_LONGEST = 255  # bytes of a name (AMQP 0-9-1, section 3.1.10)


def queue_names() -> Listed:
    """Names of queues, or `auto` for none."""
    return _QueueNames(_queue, metavar="QUEUE", right=_HINT, may_be_empty=True)


def _queue(text: str) -> str:
    if not text or not text.isprintable() or len(text.encode()) > _LONGEST:
        raise RefusedError("it is not the name of a queue", _HINT)
    return text


class _QueueNames(Listed, frozen=True):
    """Names of queues; none are written `auto`."""

    def parse(self, raw: object) -> tuple[object, ...]:
        """Return the names in their order, each once; () for `auto`."""
        words = raw if isinstance(raw, list | tuple) else (raw,)
        if [str(word).strip().lower() for word in words] == ["auto"]:
            return ()
        return super().parse(raw)

    def show(self, value: object) -> str:
        """Write them with commas between, or `auto`."""
        return super().show(value) if value else "auto"
