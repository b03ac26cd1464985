"""What Redis does in one step: take a message and write down whose it is now, give messages back, notice who is gone.

A script runs as a whole or not at all, whoever is killed meanwhile (https://redis.io/docs/latest/develop/programmability/
eval-intro/). Besides Kombu's lists, one per queue and priority, there are

- `hotplate.owners`, a hash: name of an owner -> how often it has said that it lives;
- `hotplate.taken:<owner>`, a hash: tag -> list, wake list and message, separated by line feeds;
- a wake list per queue, of one element at most: whoever finds nothing waits for that element, not for a message, since
  a command that waits cannot write anything down. Whoever takes a message and leaves others puts the element back.

Messages stay as they are, byte for byte, but for a mark in front of one that was given back: Lua's JSON would turn
empty lists into objects. A Redis whose memory is full refuses what adds to it, but not after a script has written; so
scripts first remove, then add.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import redis

from hotplate.tasks.untyped import Value

OWNERS: Final = "hotplate.owners"
TAKEN: Final = "hotplate.taken:"
# Messages that nobody can read, as they came.
UNREADABLE: Final = "hotplate.unreadable"
# Opens a message that was given back; what follows is the message without its opening brace.
MARK: Final = '{"redelivered":true,'

_GIVE: Final = (
    """
local function wake(list)
  if redis.call('EXISTS', list) == 0 then redis.call('LPUSH', list, '1') end
end
local function give(entry, side)
  local first = string.find(entry, '\\n', 1, true)
  local second = string.find(entry, '\\n', first + 1, true)
  local message = string.sub(entry, second + 1)
  local mark = '"""
    + MARK
    + """'
  if string.sub(message, 1, #mark) ~= mark then message = mark .. string.sub(message, 2) end
  redis.call(side, string.sub(entry, 1, first - 1), message)
  wake(string.sub(entry, first + 1, second - 1))
end
"""
)

# KEYS: list, wake list, and all lists of the queue if it expires. ARGV: message, milliseconds until it expires or 0.
PUT: Final = """
redis.call('LPUSH', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('LPUSH', KEYS[2], '1') end
if ARGV[2] ~= '0' then
  for i = 2, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
end
"""

# KEYS: owners, taken, a wake list per queue, a list per priority and queue. ARGV: owner, tag, number of queues, and for
# each queue 1 if what is taken from it is to be written down. Asked again with the same tag, it answers the same.
TAKE: Final = """
local again = redis.call('HGET', KEYS[2], ARGV[2])
if again then
  local first = string.find(again, '\\n', 1, true)
  local second = string.find(again, '\\n', first + 1, true)
  return {string.sub(again, 1, first - 1), string.sub(again, second + 1)}
end
local queues = tonumber(ARGV[3])
local found = false
for i = 3 + queues, #KEYS do
  local q = (i - 3) % queues
  if not found then
    local message = redis.call('RPOP', KEYS[i])
    if message then
      found = {KEYS[i], message}
      if ARGV[4 + q] == '1' then
        redis.call('HSETNX', KEYS[1], ARGV[1], 0)
        redis.call('HSET', KEYS[2], ARGV[2], KEYS[i] .. '\\n' .. KEYS[3 + q] .. '\\n' .. message)
      end
    end
  end
  if found and redis.call('EXISTS', KEYS[i]) == 1 and redis.call('EXISTS', KEYS[3 + q]) == 0 then
    redis.call('LPUSH', KEYS[3 + q], '1')
  end
end
return found
"""

# KEYS: taken. ARGV: RPUSH for the front of the queue or LPUSH for its end, and tags.
GIVE: Final = (
    _GIVE
    + """
local given = 0
for i = 2, #ARGV do
  local entry = redis.call('HGET', KEYS[1], ARGV[i])
  if entry then
    redis.call('HDEL', KEYS[1], ARGV[i])
    give(entry, ARGV[1])
    given = given + 1
  end
end
return given
"""
)

# KEYS: owners, taken. ARGV: owner, and what it said last, or nothing if that does not matter.
RELEASE: Final = (
    _GIVE
    + """
if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
local tags = redis.call('HKEYS', KEYS[2])
table.sort(tags, function (one, other) return one > other end)
local entries = {}
for i, tag in ipairs(tags) do entries[i] = redis.call('HGET', KEYS[2], tag) end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
for _, entry in ipairs(entries) do give(entry, 'RPUSH') end
return #tags
"""
)

# KEYS: owners. ARGV: owner.
BEAT: Final = """
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
return redis.call('HGETALL', KEYS[1])
"""

# KEYS: owners. ARGV: owner. One that left, or was thought gone, stays away: nothing is its own any more.
PULSE: Final = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[1], ARGV[1], 1) end
"""


def command(script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> tuple[str | int, ...]:
    """Return a script as Redis wants it; by its text, which Redis caches, so that no restart makes it unknown.

    Args:
        script: one of the above.
        keys: with their prefix.
        arguments: what the script says.
    """
    return ("EVAL", script, len(keys), *keys, *arguments)


def say(client: redis.Redis, *said: str | int | bytes) -> Value:
    """Send a command whose keys have their prefix already, and return what Redis answers.

    Args:
        client: Kombu's; if it prefixes keys, it is kept from doing so.
        *said: the command and its arguments.

    Raises:
        redis.RedisError: Redis did not answer, or refused.
    """
    return redis.Redis.execute_command(client, *said)  # type: ignore[no-untyped-call]  # redis-py has no types here


def run(client: redis.Redis, script: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Value:
    """Run a script and return what it answers; the rest is as with `command` and `say`."""
    return say(client, *command(script, keys, arguments))
