"""A Flask app with a model of 300 MB in memory: an array and many Python objects, as an NLP pipeline has."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)
_WORDS = {f"word-{number}": {"id": number, "weight": number / 7} for number in range(300_000)}
_MATRIX = bytearray(170 * 2**20)
for _page in range(0, len(_MATRIX), 4096):
    _MATRIX[_page] = 1


@app.get("/")
def look_up() -> dict[str, object]:
    """Touch the model."""
    return {"weight": _WORDS["word-7"]["weight"], "bytes": len(_MATRIX)}
