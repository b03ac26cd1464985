"""What `hotplate cache explain` shows people."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hotplate.cli.cache_explain import Explanation, State
from hotplate.cli.cache_probe import Probe
from hotplate.settings.units import show_age, show_duration_roughly, show_size_roughly

_TOLD: dict[State, str] = {
    "fresh": "answered from the cache",
    "stale": "answered from the cache, and refreshed in the background",
    "expired": "the app is asked whether it has changed",
    "unusable": "the app is asked as if nothing were stored",
    "absent": "the app is asked",
    "off": "the app is asked",
}


def lines(found: Explanation, now: float) -> Iterator[str]:
    """Yield what is shown."""
    head = {"fresh": "Stored and fresh", "stale": "Stored and stale", "expired": "Stored and expired"}
    yield f"{head.get(found.state, 'Stored' if found.stored else 'Not stored')}: {found.url}"
    yield ""
    facts = {
        "Request": f"{_TOLD[found.state]}: {found.why}",
        "Key": found.key,
        "Rule": found.rule,
        **(_of_response(found) if found.stored else {}),
        "Variants": "; ".join(", ".join(each) for each in found.variants),
        "Invalidated": _invalidated(found, now),
        "Cache-Status": found.cache_status,
    }
    yield from (f"  {label:<13} {fact}" for label, fact in facts.items() if fact)
    if found.answer is not None:
        yield ""
        yield from _of_answer(found.answer)
    elif not found.stored and found.state == "absent" and not found.request:
        yield ""
        yield "  With --ask the app is asked, and its answer judged."


def _of_response(found: Explanation) -> dict[str, str]:
    ttl = f"{show_age(found.ttl)} left" if found.ttl > 0 else f"stale for {show_age(-found.ttl)}"
    stale = [
        f"{show_age(found.stale_while_revalidate)} while it is refreshed" if found.stale_while_revalidate else "",
        f"{show_age(found.stale_if_error)} in place of an error" if found.stale_if_error else "",
    ]
    made = f", made in {show_duration_roughly(found.cost)}" if found.cost else ""
    coded = f", in {found.coding}" if found.coding else ""
    return {
        "Response": f"{found.status}, {show_size_roughly(found.size)}{coded}{made}",
        "Age": f"{show_age(found.age)} of {show_age(found.lifetime)}, {ttl}",
        "Stale": ", ".join(filter(None, stale)),
        "For": "everyone, the app says so" if found.everyone else "requests without cookies and credentials",
        "Tags": ", ".join(found.tags),
        "Vary": ", ".join(found.vary),
    }


def _invalidated(found: Explanation, now: float) -> str:
    last = found.invalidation
    if last is None:
        return ""
    ago = show_age(max(0.0, now - last.when))
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last.when))
    what = {"all": "everything, ", "tag": f"tag {last.what}, ", "url": f"{last.what}, ", "request": ""}[last.kind]
    since = "; stored again since" if found.stored and found.stored_at >= last.when else ""
    return f"{ago} ago ({at}): {what}by {last.by}{since}"


def _of_answer(answer: Probe) -> Iterator[str]:
    kept = f"kept for {show_age(answer.lifetime)}" if answer.kept else f"not kept: {answer.why}"
    yield f"  {'Answer':<13} {answer.status} after {show_duration_roughly(answer.seconds)}; {kept}"
    if answer.cache_status:
        yield f"  {'':<13} Cache-Status: {answer.cache_status}"
    for name, value in answer.fields:
        yield f"  {'':<13} {name}: {value}"
    if answer.advice:
        yield f"  {'To keep it':<13} {answer.advice}"
