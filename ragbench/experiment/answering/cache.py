"""``replies.sqlite``: answers of all runs of a home, found again by everything they depend on."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from ragbench.base.errors import DataError
from ragbench.base.files import sha256_json
from ragbench.runfolder.records import Record, answer_of
from ragbench.runfolder.schema import parse

FORMAT = 1
WAIT_S = 60.0  # for another process that writes
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Everything that an answer depends on.

    Attributes:
        model: Digest of the model.
        prompt: The rendered prompt.
        continuations: The texts that are scored; None if a reply is generated.
        reply_limit: Maximum tokens of a generated reply; None if texts are scored.
    """

    model: str
    prompt: str
    continuations: tuple[str, ...] | None
    reply_limit: int | None

    def text(self) -> str:
        """Return the key as it is stored and compared."""
        return json.dumps(asdict(self), sort_keys=True)


class ReplyCache:
    """Answers in one SQLite file, which several processes may use at the same time.

    A row has the whole key, which is compared, and a digest of its answer. One thread uses an
    object.

    Args:
        path: The file; it is made if it is missing, readable by its owner alone.

    Raises:
        DataError: The file is damaged, or has another format.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        from filelock import FileLock

        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._handle = self._checked(lambda: sqlite3.connect(path, timeout=WAIT_S))
        with FileLock(path.with_name(f".{path.name}.lock")):  # SQLite does not wait for this change
            self._checked(self._prepare)

    def _prepare(self) -> None:
        self._handle.execute("PRAGMA journal_mode=WAL")
        self._handle.execute("PRAGMA synchronous=NORMAL")
        with self._handle:
            self._handle.execute(
                "CREATE TABLE IF NOT EXISTS replies (digest TEXT PRIMARY KEY, key TEXT NOT NULL, "
                "answer TEXT NOT NULL, sum TEXT NOT NULL)"
            )
            (version,) = self._handle.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._handle.execute(f"PRAGMA user_version={FORMAT}")
        if version not in (0, FORMAT):
            raise self._damaged(f"it has format {version}, not {FORMAT}")

    def find(self, key: CacheKey) -> Record | None:
        """Return a record with the answer of a key; None if there is none.

        Raises:
            DataError: The file, or the answer in it, is damaged.
        """
        text = key.text()
        row = self._checked(
            lambda: self._handle.execute(
                "SELECT key, answer, sum FROM replies WHERE digest = ?", (sha256_json(text),)
            ).fetchone()
        )
        if row is None:
            return None
        if row[0] != text or row[2] != sha256_json([row[0], row[1]]):
            raise self._damaged("an answer is not the one that was stored")
        blank = {"key": "", "question_id": "", "prompt": "", "log_likelihoods": None, "error": None}
        return parse(Record, blank | json.loads(row[1]), str(self._path), what="stored answer")

    def store(self, key: CacheKey, record: Record) -> None:
        """Store the answer of a record; an error and a filtered reply are not stored."""
        if record.error is not None or record.finish == "filtered":
            return
        text, answer = key.text(), json.dumps(answer_of(record))
        row = (sha256_json(text), text, answer, sha256_json([text, answer]))

        def insert() -> None:
            with self._handle:
                self._handle.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?)", row)

        self._checked(insert)

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def _checked(self, do: Callable[[], T]) -> T:
        try:
            return do()
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, why: str) -> DataError:
        return DataError(
            f"the cache of replies cannot be used: {why}",
            where=str(self._path),
            fix="remove the file and those beside it that begin with its name, or run without "
            "`reply_cache`",
        )
