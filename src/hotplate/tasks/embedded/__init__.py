"""The broker that needs nothing installed: messages, results and schedules of one machine in one SQLite file.

Arrows: transport -> channel -> messages, routes -> file -> opening, owners, wake, forking -> schema, problems.
"""

from hotplate.tasks.embedded.location import SCHEME, Location, location, url

__all__ = ["SCHEME", "Location", "location", "register", "url"]


def register() -> None:
    """Make `hotplate://` known to kombu, as often as wanted; the transport itself is imported when it is first used."""
    from kombu.transport import TRANSPORT_ALIASES

    TRANSPORT_ALIASES.setdefault(SCHEME, "hotplate.tasks.embedded.transport:Transport")
