"""What needs a package that is not always installed."""

from __future__ import annotations

from importlib.util import find_spec

import msgspec

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Resolved


def with_redis(resolved: Resolved) -> Resolved:
    """Return the settings, without a Redis that could not be spoken to.

    Hosting platforms set REDIS_URL whether an app wants it or not, so that alone is no reason not to start.

    Raises:
        HotplateError: MISSING_EXTRA; a Redis was asked for, and the package is missing.
    """
    origin = resolved.origins["redis_url"]
    if not resolved.settings.redis_url or (find_spec("redis") and find_spec("hiredis")):
        return resolved
    if origin == "REDIS_URL":
        settings = msgspec.structs.replace(resolved.settings, redis_url="")
        return Resolved(settings, {**resolved.origins, "redis_url": "REDIS_URL, but redis-py is not installed"})
    raise HotplateError(
        f"share the cache in a Redis ({origin})",
        "the packages redis and hiredis are not installed",
        "Type: pip install 'hotplate[redis]'. Without --redis-url the workers of this machine share one all the same.",
        code=ExitCode.MISSING_EXTRA,
    )
