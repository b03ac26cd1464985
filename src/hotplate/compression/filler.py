"""How much filler a compressed body gets, so that its length does not tell how well it was compressed.

Whoever can have text of his own put into a page beside a secret, and sees how long the page is on the wire, can guess
the secret letter by letter: a right guess compresses better (Gluck, Harris and Prado, "BREACH", 2013). Filler of random
length makes him ask many times for each guess ("Heal the BREACH", Palacios and others, 2022), and the same length for
the same body keeps him from just asking again.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b

from isal import isal_zlib

MOST = 128  # bytes

_KEY = secrets.token_bytes(16)  # made once, when workers are still to be forked, so that they fill alike


def of_body(body: bytes) -> int:
    """Return how many bytes of filler a whole body gets: 1 to `MOST`, for the same body the same.

    It is not to be foreseen without the key. Two bodies with one check sum do no harm, so a quick one will do.
    """
    digest = blake2b(isal_zlib.crc32(body).to_bytes(4, "big"), key=_KEY, digest_size=2).digest()
    return 1 + int.from_bytes(digest, "big") % MOST


def of_part() -> int:
    """Return how many bytes of filler a part of a stream gets: 1 to `MOST`, at random."""
    return 1 + secrets.randbelow(MOST)
