"""One table."""

from django.db import models


class Book(models.Model):  # type: ignore[misc]  # Django ships no types
    """A book."""

    title = models.CharField(max_length=100)

    def __str__(self) -> str:
        """Return its title."""
        return str(self.title)
