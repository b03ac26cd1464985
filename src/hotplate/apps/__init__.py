"""The user's app: what a target means, finding one without, importing it, and telling WSGI from ASGI.

No framework is imported here. This file stays empty, so that `from hotplate import warmup` costs nothing.
"""
