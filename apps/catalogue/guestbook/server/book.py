"""The entries, in one SQLite file.

A Book may be used by several threads, and by several processes: while a new
release of the app starts, the old one still answers.
"""

import contextlib
import os
import sqlite3
import time
import unicodedata

NAME_MAX = 60  # characters
MESSAGE_MAX = 2000
ENTRIES_MAX = 40_000  # about 100 MB when each is as long as it may be
PAGE = 20

FILE = "guestbook.sqlite"
SNAPSHOT = "guestbook.snapshot.sqlite"


class Refused(Exception):
    """An entry that is not taken; the message is for its writer."""


class Book:
    def __init__(self, folder):
        self.path = os.path.join(folder, FILE)
        self.snapshot_path = os.path.join(folder, SNAPSHOT)

    def open(self):
        """Makes the file when there is none, and mends one that was copied while it was written.

        Says on which path, in words, or raises sqlite3.Error or OSError.
        """
        mended = self._mend()
        with self._connect() as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS entries ("
                " id INTEGER PRIMARY KEY AUTOINCREMENT,"
                " at INTEGER NOT NULL,"  # seconds since 1970
                " name TEXT NOT NULL,"
                " message TEXT NOT NULL)"
            )
        return f"{self.path} was damaged; the snapshot took its place" if mended else f"opened {self.path}"

    def count(self):
        with self._connect() as db:
            return db.execute("SELECT count(*) FROM entries").fetchone()[0]

    def page(self, before=0):
        """The newest entries older than the id before (0: the very newest), and whether older ones follow."""
        with self._connect() as db:
            rows = db.execute(
                "SELECT id, at, name, message FROM entries WHERE ? = 0 OR id < ? ORDER BY id DESC LIMIT ?",
                (before, before, PAGE + 1),
            ).fetchall()
        return rows[:PAGE], len(rows) > PAGE

    def sign(self, name, message):
        """Adds an entry. Raises Refused."""
        name, message = clean(name, one_line=True), clean(message)
        if not name:
            raise Refused("Please say who you are; any name will do.")
        if not message:
            raise Refused("Please write a few words.")
        if len(name) > NAME_MAX:
            raise Refused(f"That name is longer than {NAME_MAX} characters. Please shorten it.")
        if len(message) > MESSAGE_MAX:
            raise Refused(f"That is longer than {MESSAGE_MAX:,} characters. Please shorten it.")
        with self._connect() as db:
            db.execute("BEGIN IMMEDIATE")
            if db.execute("SELECT count(*) FROM entries").fetchone()[0] >= ENTRIES_MAX:
                raise Refused("This book is full. Thank you all the same.")
            db.execute("INSERT INTO entries (at, name, message) VALUES (?, ?, ?)", (int(time.time()), name, message))

    def snapshot(self):
        """Writes a whole copy beside the book: a backup may copy the book itself in the middle of a write."""
        aside = self.snapshot_path + ".part"
        with contextlib.suppress(FileNotFoundError):
            os.remove(aside)
        with self._connect() as db, contextlib.closing(sqlite3.connect(aside)) as copy:
            db.backup(copy)
        os.replace(aside, self.snapshot_path)

    def _mend(self):
        if not os.path.exists(self.path) or not os.path.exists(self.snapshot_path):
            return False
        try:
            with self._connect() as db:
                if db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
                    return False
        except sqlite3.DatabaseError as err:
            if isinstance(err, sqlite3.OperationalError):
                raise  # locked, or not ours to read: that is not damage
        os.replace(self.path, self.path + ".damaged")
        for rest in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path + rest)
        with contextlib.closing(sqlite3.connect(self.snapshot_path)) as copy, self._connect() as db:
            copy.backup(db)
        return True

    @contextlib.contextmanager
    def _connect(self):
        """A connection of its own; what was begun is committed, or undone by an exception."""
        db = sqlite3.connect(self.path, timeout=5)
        try:
            db.execute("PRAGMA synchronous = FULL")
            with db:
                yield db
        finally:
            db.close()


def clean(text, one_line=False):
    """Text as it may stand in the book: no control characters, no empty ends, no tower of blank lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = (c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Co"))
    lines = [" ".join(line.split()) if one_line else line.rstrip() for line in "".join(kept).split("\n")]
    if one_line:
        return " ".join(line for line in lines if line)
    whole = "\n".join(lines).strip()
    while "\n\n\n" in whole:
        whole = whole.replace("\n\n\n", "\n\n")
    return whole
