"""FastAPI with JSON Web Tokens in Authorization, which no Vary names."""

from __future__ import annotations

import jwt
from fastapi import Request, Response

from tests.e2e.leaks.fastapi_cookies import asked_name, site

_KEY = "not a secret, but at least thirty-two bytes long"


def _by_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return jwt.decode(token, _KEY, algorithms=["HS256"])["sub"] if scheme == "Bearer" else None


app = site(_by_token)


@app.post("/token")
async def token(request: Request) -> Response:
    """Log in."""
    return Response(jwt.encode({"sub": await asked_name(request)}, _KEY, algorithm="HS256"))
