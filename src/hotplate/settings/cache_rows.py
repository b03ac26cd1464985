"""The part of the settings table that is about the cache."""

from typing import Annotated, Literal

import msgspec

from hotplate.settings.cache_lists import cookie_names, hosts, rules
from hotplate.settings.kinds import Choice, Duration, Size, Switch, Text
from hotplate.settings.rows import DAY, KIB, MIB, TIB, Row
from hotplate.settings.secret import RedisUrl

_NO_AUTO = "it would have to know what the app reads from its database, which this version does not watch"


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of answers, where, and for whom; see `Settings`."""

    cache: Annotated[
        Literal["off", "headers", "suggest"],
        Row(
            "Cache",
            Choice(("off", "headers", "suggest"), later={"auto": _NO_AUTO}),
            "Answer from cache: off, headers (what the app declares cacheable) or suggest (measure what could be)",
            "Without a word from the app nothing is kept, so a site that never thought of it is as before.",
        ),
    ] = "headers"
    cache_profile: Annotated[
        Literal["safe", "rfc"],
        Row(
            "Cache",
            Choice(("safe", "rfc")),
            "What may be kept: safe (nothing that could be one person's), rfc (all that RFC 9111 allows)",
            "RFC 9111 lets a cache keep answers that set cookies (section 7.3); that is how logins leak.",
        ),
    ] = "safe"
    cache_size: Annotated[
        int,
        Row(
            "Cache",
            Size(MIB, 16 * TIB),
            "Largest size of the store on this machine that all workers share; what was used least goes first",
            "Rails 8 keeps 256 MB; 10,000 pages of 25 KiB fit.",
        ),
    ] = 256 * MIB
    cache_memory: Annotated[
        int,
        Row(
            "Cache",
            Size(64 * KIB, TIB, zero="none"),
            "Memory per worker for the answers asked for most, in front of the shared store",
            "Thruster's cache: 64 MB per machine; here there are several workers.",
        ),
    ] = 32 * MIB
    cache_largest: Annotated[
        int,
        Row(
            "Cache",
            Size(KIB, 1024 * MIB),
            "Largest body that is kept; longer ones pass through",
            "Pages and their scripts fit; downloads, which belong to a file server or CDN, do not displace them.",
        ),
    ] = 4 * MIB
    cache_wait: Annotated[
        float,
        Row(
            "Cache",
            Duration(0.001, DAY / 24, zero="never"),
            "How long requests for the same page wait for the one that makes it, before they go to the app themselves",
            "nginx's proxy_cache_lock_timeout: 5 s.",
        ),
    ] = 5.0
    cache_routes: Annotated[
        tuple[str, ...],
        Row(
            "Cache",
            rules(),
            "Rules for pages whose app says nothing, such as '/articles/* ttl=60s swr=30s tags=news'; may be repeated",
            "None: the app declares it, or the operator does, never a guess.",
            flagless="--no-cache-routes",
            example="/articles/* ttl=60s swr=30s tags=articles,front",
        ),
    ] = ()
    cache_hosts: Annotated[
        tuple[str, ...],
        Row(
            "Cache",
            hosts(),
            "Host names whose answers may be kept; those of others never are; may be repeated",
            "None: every well-formed Host has entries of its own, so a forged one cannot reach another's.",
            flagless="--no-cache-hosts",
            example="www.example.com",
        ),
    ] = ()
    cache_ignore_cookies: Annotated[
        tuple[str, ...],
        Row(
            "Cache",
            cookie_names(),
            "Cookies that do not make a request personal, such as '_ga*' (* is any text); may be repeated",
            "None: an app could print any of them into its page, those of statistics as well.",
            flagless="--no-cache-ignore-cookies",
            example="_ga*",
        ),
    ] = ()
    cache_status: Annotated[
        bool,
        Row(
            "Cache",
            Switch(),
            "Send Cache-Status (RFC 9211) with every response (off: only with those out of the cache)",
            "Off: what was not answered from cache is nobody's business but the operator's.",
        ),
    ] = False
    redis_url: Annotated[
        str,
        Row(
            "Cache",
            RedisUrl(),
            "Redis or Valkey that several machines share as the cache's store; its password is never shown",
            "None: one machine needs no server for its cache. REDIS_URL is what hosting platforms set.",
            env=("REDIS_URL",),
            flagless="--no-redis-url",
            example="redis://cache.internal:6379/0",
        ),
    ] = ""
    redis_timeout: Annotated[
        float,
        Row(
            "Cache",
            Duration(0.001, 10),
            "How long one look into Redis may take before the request goes on without it",
            "Souin's storage timeout is 10 to 20 ms: a cache is not to be slower than the app.",
        ),
    ] = 0.02
    release: Annotated[
        str,
        Row(
            "Cache",
            Text("TEXT", right="1 to 100 characters without spaces, such as a commit's hash", pattern=r"[!-~]{1,100}"),
            "Name of this version of the code; pages of another one are never served",
            "Without it, a fingerprint of the app's modules and templates: equal on machines with equal code.",
            example="2026-11-21.1",
        ),
    ] = ""
