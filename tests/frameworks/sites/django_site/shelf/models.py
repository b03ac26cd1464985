"""One table."""

from django.db import models


class Book(models.Model):
    """A book."""

    title = models.CharField(max_length=100)

    def __str__(self) -> str:
        """Return its title."""
        return str(self.title)
