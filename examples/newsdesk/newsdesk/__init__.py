"""Newsdesk: a small article repository with similarity search, written twice.

``newsdesk.app:app`` is written well, ``newsdesk.slow:app`` has the usual faults; the README lists them.
"""
