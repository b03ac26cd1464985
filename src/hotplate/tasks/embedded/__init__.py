"""A broker and a result store in one SQLite file, for one machine."""
