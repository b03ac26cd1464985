"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").

Files are read in large blocks and sent from memory. The server could be given the path instead (ASGI's
`http.response.pathsend`), but it opens the path later, and an app may have removed or replaced the file by then: what
the app opened is sent.
"""

from __future__ import annotations

import io
import os
import stat
from typing import Any

# What Granian's own file reader takes at once, too: smaller blocks cost a hand-over each, larger ones only memory.
BLOCK = 128 * 1024


class FileWrapper:
    """Iterates over a file-like object in blocks.

    Args:
        filelike: anything with `read(size)`.
        block_size: bytes per block; only a suggestion, which plain files do not follow.

    Attributes:
        left: most bytes that are still to be read, None for all; the declared length ends a file (PEP 3333).

    Example:
        >>> list(FileWrapper(io.BytesIO(b"abcde"), 2))
        [b'ab', b'cd', b'e']
    """

    def __init__(self, filelike: Any, block_size: int = 8192) -> None:  # noqa: ANN401  # PEP 3333 asks for no more than read()
        self.filelike = filelike
        self.block_size = block_size
        self.left: int | None = None
        # Only where there is one: the gateway, and middleware, ask by hasattr.
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        size = self.block_size
        if self.left is not None:
            size = min(size, self.left)
            self.left -= size
        block: bytes = self.filelike.read(size)
        if not block:
            raise StopIteration
        return block

    def remaining(self) -> int | None:
        """Return how many bytes are left, or None where only reading will tell.

        Only for plain files and memory: a gzip reader, say, has a file number too, but that file's size is not its own.
        """
        file = self.filelike
        if type(file) is io.BytesIO:
            return max(0, file.getbuffer().nbytes - file.tell())
        raw = file.raw if type(file) in {io.BufferedReader, io.BufferedRandom} else file
        if type(raw) is not io.FileIO:
            return None
        try:
            status = os.fstat(file.fileno())
            return max(0, status.st_size - file.tell()) if stat.S_ISREG(status.st_mode) else None
        except (OSError, ValueError):  # closed, or not seekable
            return None
