"""Columns that line up."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> list[str]:
    """Return the rows as lines, numbers to the right.

    Args:
        rows: cells as text; every row has as many.
        left: columns that stand to the left.

    Example:
        >>> aligned([("slot", "state"), ("0", "ready")], left=[1])
        ['slot  state', '   0  ready']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
