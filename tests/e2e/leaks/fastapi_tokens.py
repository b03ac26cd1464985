"""FastAPI with JSON Web Tokens in Authorization, which no Vary names."""

from __future__ import annotations

from typing import Annotated

import jwt
from fastapi import Form, Request, Response

from tests.e2e.leaks.fastapi_cookies import site

_KEY = "not a secret, but at least thirty-two bytes long"


def _by_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return jwt.decode(token, _KEY, algorithms=["HS256"])["sub"] if scheme == "Bearer" else None


app = site(_by_token)


@app.post("/token")
def token(name: Annotated[str, Form()]) -> Response:
    """Log in."""
    return Response(jwt.encode({"sub": name}, _KEY, algorithm="HS256"))
