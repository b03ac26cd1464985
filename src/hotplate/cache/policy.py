"""The decisions of the cache, without I/O: RFC 9111 for a shared cache, RFC 5861, 9213 and 9875.

`ask` says what a request allows, `judge` and `finish` whether and how its response is stored, `reuse` what may be done
with a stored one, `revalidation_fields` and `freshen` how it is kept up to date, `invalidates` what a change makes
invalid. How bold all of them are is the profile's to say.
"""

from hotplate.cache.http.asking import PLAIN, Passage, ask
from hotplate.cache.http.freshness import Response
from hotplate.cache.http.invalidation import invalidates
from hotplate.cache.http.reasons import Reason
from hotplate.cache.http.reusing import Use, Verdict, is_early, reuse
from hotplate.cache.http.storing import Refused, finish, judge, keep_seconds
from hotplate.cache.http.validation import Freshened, freshen, revalidation_fields

__all__ = [
    "PLAIN",
    "Freshened",
    "Passage",
    "Reason",
    "Refused",
    "Response",
    "Use",
    "Verdict",
    "ask",
    "finish",
    "freshen",
    "invalidates",
    "is_early",
    "judge",
    "keep_seconds",
    "reuse",
    "revalidation_fields",
]
