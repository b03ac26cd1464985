"""What an instance hands on to its processes, and these to what they start, beside the variables of settings.

A script may be given these, too; they are no settings of a command.
"""

CACHE_FOLDER, CACHE_RELEASE = "HOTPLATE_CACHE_DIR", "HOTPLATE_CACHE_RELEASE"
HANDED_ON = frozenset({CACHE_FOLDER, CACHE_RELEASE})
# Settings that all who share a cache must have alike.
OF_THE_CACHE = ("name", "cache_size", "cache_memory", "cache_wait", "redis_url", "redis_timeout")
