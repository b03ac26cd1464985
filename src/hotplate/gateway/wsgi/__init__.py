"""Speaks WSGI (PEP 3333) to the app and ASGI to the pipeline.

A request's way, one module each: environ, body (before a thread is taken), response (the app's turn, in a thread of the
pool), start, headers and filewrapper on its way out, stream where the body is not known as a whole; app ties them
together.
"""

from hotplate.gateway.wsgi.app import adapt

__all__ = ["adapt"]
