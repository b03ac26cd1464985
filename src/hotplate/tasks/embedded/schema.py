"""The tables of the file. Nothing here runs anything.

A message is in one of three states, and each has an index of its own that holds nothing but that state's rows: ready
(nobody's, due), delayed (nobody's, not yet due), taken (an owner's). So taking the next one, finding the next due one
and giving back a dead owner's cost the same with a hundred thousand messages as with ten.
"""

APPLICATION_ID = 0x48504C54  # "HPLT": tells a file of ours from any other SQLite file
VERSION = 1

TABLES = (
    """CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        rank INTEGER NOT NULL,              -- 9 - priority: the lower, the sooner
        owner INTEGER,                      -- who has taken it; NULL: nobody
        due REAL,                           -- seconds since 1970 before which it is not given out; NULL: at once
        redelivered INTEGER NOT NULL DEFAULT 0,
        at REAL NOT NULL,                   -- when it was sent; for its age alone
        payload BLOB NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS ready ON messages (queue, rank, id) WHERE owner IS NULL AND due IS NULL",
    "CREATE INDEX IF NOT EXISTS delayed ON messages (due, queue) WHERE owner IS NULL AND due IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS taken ON messages (owner, queue) WHERE owner IS NOT NULL",
    # AUTOINCREMENT: a number that was a dead process's is never given to another one.
    "CREATE TABLE IF NOT EXISTS owners (id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS waiters (
        topic TEXT NOT NULL, name TEXT NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY (topic, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS bindings (
        exchange TEXT NOT NULL, key TEXT NOT NULL, pattern TEXT NOT NULL, queue TEXT NOT NULL,
        PRIMARY KEY (exchange, key, pattern, queue)
    ) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, owner INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # Tells this file from the next one at its path, even where the file system gives that one the same inode.
    "INSERT OR IGNORE INTO meta (key, value) VALUES ('file', lower(hex(randomblob(16))))",
)
