"""The one error type that reaches a user as a line instead of a traceback, and the exit codes it may carry.

Nothing of ours is imported here. Anything that is not a `HotplateError` is a bug and keeps its traceback.
"""

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """What the `hotplate` command's exit status means; docs/exit-codes.md is made from this table.

    0, 1 and 2 are what every shell and click mean by them; 130 is 128 + SIGINT, as shells report it.

    Example:
        >>> ExitCode.USAGE.value, ExitCode.USAGE.meaning[:15]
        (2, 'A flag, an envi')
    """

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Make a member out of its number and its meaning."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "Everything asked for was done."
    FAILED = 1, "A bug in Hotplate, or a failure without a code of its own; a traceback says which."
    USAGE = 2, "A flag, an environment variable or a settings file has an unknown name or a value that cannot be used."
    APP_NOT_FOUND = 3, "The module or file of the app does not exist, or no app was named and none was found."
    ATTRIBUTE_MISSING = 4, "The module has no such app: it is missing or not callable, or its factory wants arguments."
    APP_IMPORT_FAILED = 5, "The app's own code failed while it was imported or its factory ran; its traceback is shown."
    PORT_UNAVAILABLE = 6, "An address to listen on is in use, privileged, or not of this machine."
    TLS_INVALID = 7, "The certificate or its key is missing, unreadable, or they do not belong together."
    WARMUP_FAILED = 8, "A warm-up function or a warm-up request failed, so no worker was put to work."
    WORKER_BOOT_FAILED = 9, "A worker died or stayed silent before it was ready."
    NO_MEMORY = 10, "The memory limit does not leave room for one worker."
    NOT_RUNNING = 11, "No running instance was found for this folder and name."
    ALREADY_RUNNING = 12, "An instance with this name already runs in this folder."
    RELOAD_FAILED = 13, "The new version did not come up; the old one is still serving."
    UNHEALTHY = 14, "The instance runs, but not every worker is warm and serving; or tasks wait that no worker takes."
    MISSING_EXTRA = 15, "The command needs a package that is not installed."
    INTERRUPTED = 130, "Stopped by Ctrl-C (SIGINT) before it was done."


class HotplateError(Exception):
    """Something was attempted and cannot be, and the user can do something about it.

    Args:
        attempted: what was tried, as it reads after "Cannot", such as `"listen on 127.0.0.1:80"`.
        cause: why it cannot be, without a final full stop.
        remedy: what to type or change next, as a sentence.
        code: the exit status the command ends with.
        detail: further lines, such as the user's own trimmed traceback; shown below the line.

    Example:
        >>> print(HotplateError("start", "it is late", "Sleep.", code=ExitCode.FAILED))
        Cannot start: it is late. Sleep.
    """

    def __init__(self, attempted: str, cause: str, remedy: str, *, code: ExitCode, detail: str = "") -> None:
        super().__init__(attempted, cause, remedy)
        self.attempted = _one_line(attempted)
        self.cause = _one_line(cause).rstrip(".")
        self.remedy = _one_line(remedy)
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        """Let it travel: pools of processes pickle what a job raises."""
        return _again, (type(self), self.args), self.__dict__

    def __str__(self) -> str:
        """Return the one line; `detail` is not part of it."""
        return f"Cannot {self.attempted}: {self.cause}. {self.remedy}".rstrip()


def _again(kind: type[HotplateError], args: tuple[str, ...]) -> HotplateError:
    return kind.__new__(kind, *args)


def _one_line(text: str) -> str:
    return " ".join(text.split())
