"""Content codings: which one a client is to get, and the making of it."""
