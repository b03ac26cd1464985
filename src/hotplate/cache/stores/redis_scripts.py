"""What runs inside Redis, where nothing comes between: looking, keeping, invalidating, leasing.

The clock is one hash: `e` epoch, `s` how many invalidations there were, `r` the server process that keeps it, and one
field per slot with the number of its last invalidation. Being one key it is lost as a whole, by eviction or FLUSHALL or
with the server; then a new epoch makes all that was kept invalid.

An announcement is a key that is set and deleted at once: only its name matters, which `CLIENT TRACKING` in its
broadcasting mode (Redis 6 and later) tells to all who follow the prefix of the clock. No key is left.

Deleting something first, even what is not there, is on purpose: a script that has written may go on writing when the
memory is full (redis.io, "Scripting with Lua"), and an invalidation must not be refused for want of memory.
"""

from __future__ import annotations

from hashlib import sha1

MOST_SLOTS = 1000  # of one entry; Lua's unpack() has a limit of some thousand
NO_CLOCK = "NOCLOCK"  # begins an error of ours; a blank in it keeps Redis 7 from putting ERR before

_ANNOUNCE = """
local function announce(clock, epoch, seq, what)
    local name = clock .. ':' .. epoch .. ':' .. seq .. ':' .. what
    redis.call('SET', name, '')
    redis.call('DEL', name)
end
"""

_CLOCK = """
local clock = redis.pcall('HMGET', KEYS[1], 'e', 's')
if clock.err or not clock[1] or not clock[2] then return redis.error_reply('NOCLOCK there is none') end
"""


class Script:
    """A script that is sent by its hash, and whole where the server does not know it.

    Args:
        body: in Lua.
        keys: how many of its arguments are keys.
    """

    def __init__(self, body: str, keys: int) -> None:
        self.body = body.strip().encode()
        self._sha = sha1(self.body, usedforsecurity=False).hexdigest().encode()
        self._keys = str(keys).encode()

    def call(self, *arguments: bytes) -> tuple[bytes, ...]:
        """Return the command that runs it; keys come first."""
        return (b"EVALSHA", self._sha, self._keys, *arguments)

    def whole(self, *arguments: bytes) -> tuple[bytes, ...]:
        """Return the command that runs it and makes it known."""
        return (b"EVAL", self.body, self._keys, *arguments)

    def made_whole(self, call: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Return what `call` was, for a server that does not know the script."""
        return (b"EVAL", self.body, *call[2:])


# clock, entry -> [epoch, seq] or [epoch, seq, meta, value, last of slot, ...]
LOOK = Script(
    _CLOCK
    + """
local meta = redis.pcall('HGET', KEYS[2], 'm')
if type(meta) ~= 'string' then return clock end
local words = {}
for word in string.gmatch(meta, '%S+') do words[#words + 1] = word end
local found = {clock[1], clock[2], meta, false}
local fresh = words[1] == clock[1]
if fresh and #words > 2 then
    local seq = tonumber(words[2])
    for at, last in ipairs(redis.call('HMGET', KEYS[1], unpack(words, 3))) do
        found[4 + at] = last or '0'
        if last and tonumber(last) > seq then fresh = false end
    end
end
if not fresh then
    redis.call('DEL', KEYS[2])
    return clock
end
found[4] = redis.call('HGET', KEYS[2], 'v')
return found
""",
    2,
)

# clock, entry; milliseconds, frame, meta, epoch, seq, slot ... -> whether it was kept
PUT = Script(
    _CLOCK
    + """
if clock[1] ~= ARGV[4] then return 0 end
if #ARGV > 5 then
    local seq = tonumber(ARGV[5])
    for _, last in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 6))) do
        if last and tonumber(last) > seq then return 0 end
    end
end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[2]) end
redis.call('HSET', KEYS[2], 'm', ARGV[3], 'v', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1
""",
    2,
)

# clock, members; who, what to announce, slot ... -> [epoch, seq, how many others follow the clock]
BUMP = Script(
    _ANNOUNCE
    + _CLOCK
    + """
redis.call('DEL', KEYS[1] .. ':')
local seq = redis.call('HINCRBY', KEYS[1], 's', 1)
for at = 3, #ARGV do redis.call('HSET', KEYS[1], ARGV[at], seq) end
announce(KEYS[1], clock[1], string.format('%.0f', seq), ARGV[2])
local members = redis.pcall('ZCARD', KEYS[2])
if type(members) ~= 'number' then members = 0 end
if members > 0 and redis.call('ZSCORE', KEYS[2], ARGV[1]) then members = members - 1 end
return {clock[1], seq, members}
""",
    2,
)

# clock; a new epoch, "1" to have it in any case -> [epoch, seq]
# The server's run_id tells a restart from an old snapshot, or a replica that was promoted, from the clock we knew: both
# may have forgotten the latest invalidations.
GREET = Script(
    _ANNOUNCE
    + """
local run = ''
local info = redis.pcall('INFO', 'server')
if type(info) == 'string' then run = string.match(info, 'run_id:(%w+)') or '' end
local clock = redis.pcall('HMGET', KEYS[1], 'e', 's', 'r')
if clock.err then clock = {} end
if ARGV[2] ~= '1' and clock[1] and tonumber(clock[2]) and clock[3] == run then return {clock[1], clock[2]} end
local now = redis.call('TIME')
local seq = string.format('%.0f', math.max(now[1] * 1000000 + now[2], (tonumber(clock[2]) or 0) + 1))
redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[1] .. ':')
redis.call('HSET', KEYS[1], 'e', ARGV[1], 's', seq, 'r', run)
announce(KEYS[1], ARGV[1], seq, '*')
return {ARGV[1], seq}
""",
    1,
)

# clock, members, heard; who, milliseconds its membership lasts, up to which seq it has heard ("" when it begins: up to
# now) -> [epoch, seq]
BEAT = Script(
    _CLOCK
    + """
local now = redis.call('TIME')
redis.call('DEL', KEYS[1] .. ':')
if redis.call('TYPE', KEYS[2]).ok ~= 'zset' then redis.call('DEL', KEYS[2]) end
if redis.call('TYPE', KEYS[3]).ok ~= 'zset' then redis.call('DEL', KEYS[3]) end
redis.call('ZADD', KEYS[3], ARGV[3] ~= '' and ARGV[3] or clock[2], ARGV[1])
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.ceil(now[2] / 1000) + ARGV[2], ARGV[1])
return clock
""",
    3,
)

# members, heard; seq, milliseconds after which a member counts as gone -> how many have not heard of it yet
UNHEARD = Script(
    """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
for _, late in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do redis.call('ZREM', KEYS[2], late) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return redis.call('ZCOUNT', KEYS[2], '-inf', '(' .. ARGV[1])
""",
    2,
)

# lease, members; who, milliseconds, those after which a member counts as gone -> whether it has it
# A holder who was no member when it took the lease, for want of tracking, may not be one and live.
LEASE = Script(
    """
local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'string' then
    if string.sub(holder, -2) ~= ':m' then return 0 end
    local now = redis.call('TIME')
    local until_when = redis.pcall('ZSCORE', KEYS[2], string.sub(holder, 1, -3))
    if type(until_when) == 'string' and now[1] * 1000 - ARGV[3] < tonumber(until_when) then return 0 end
end
local is_member = type(redis.pcall('ZSCORE', KEYS[2], ARGV[1])) == 'string'
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1] .. (is_member and ':m' or ''), 'PX', ARGV[2])
return 1
""",
    2,
)

# lease; who -> whether it had it
RELEASE = Script(
    """
local holder = redis.pcall('GET', KEYS[1])
if holder ~= ARGV[1] and holder ~= ARGV[1] .. ':m' then return 0 end
return redis.call('DEL', KEYS[1])
""",
    1,
)

# name; -> sets and deletes it, so that whoever follows hears of it
TOUCH = Script(
    """
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '')
return redis.call('DEL', KEYS[1])
""",
    1,
)

ALL = (LOOK, PUT, BUMP, GREET, BEAT, UNHEARD, LEASE, RELEASE, TOUCH)
