"""`python -m benchmarks.chores_kept_sending FIRST LAST SECONDS FILE`: send numbers to be written down, until killed.

FILE names those that the broker has taken, so that the next one goes on with the others.
"""

from __future__ import annotations

import os
import sys
import time

from benchmarks.apps import chores_hotplate
from benchmarks.apps.chores import CHORES

_PAUSE = 0.008  # seconds: two senders are about as fast as two processes with tasks of 10 ms


def main(first: str, last: str, seconds: str, file: str) -> int:
    """Send them."""
    note = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    sent = {int(line) for line in os.read(note, 2**24).split()}
    for number in range(int(first), int(last)):
        if number not in sent:
            CHORES["write_down"].delay(number, float(seconds))
            os.write(note, b"%d\n" % number)
            time.sleep(_PAUSE)
    chores_hotplate.celery.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
