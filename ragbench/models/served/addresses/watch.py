"""Looks whether a file of addresses changes during a run: new servers get work, others no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import (
    BackendError,
    DataError,
    PrerequisiteError,
    RagbenchError,
    UsageError,
)
from ragbench.base.progress import say
from ragbench.models.served.addresses.pool import Pool
from ragbench.models.served.addresses.urlfile import endpoints_in, read_text

LOOK_S = 1.0
AGAIN_S = 10.0  # before a new server that does not answer yet is tried again


class Watch:
    """Keeps a pool as a file says.

    A change counts once the file is the same at two looks, so that a half-written line is no
    address. A list that cannot be read is reported, and the former one is kept.

    Args:
        name: The model's name, for messages.
        path: The file.
        pool: The servers at present, which were in the file at the start.
        admit: Refuses a new server with an error, before or after asking it. After a ``UsageError``
            the server is not tried again until the file changes.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        pool: Pool,
        admit: Callable[[Endpoint], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._path = path
        self._pool = pool
        self._admit = admit
        self._clock = clock
        self._lock = Lock()
        self._next_look = 0.0
        self._seen: str | None = None
        self._is_new = False
        self._listed = pool.endpoints
        self._due: dict[Endpoint, float] = {}  # when a new server is tried; absent: never again
        self._told: set[str] = set()

    def look(self) -> None:
        """Look at the file, at most once a second; new servers are asked in other threads."""
        now = self._clock()
        with self._lock:
            if now < self._next_look:
                return
            self._next_look = now + LOOK_S
            try:
                text = read_text(self._path)
                if text != self._seen:
                    self._seen, self._is_new = text, True
                elif self._is_new:
                    self._is_new = False
                    self._take_over(endpoints_in(text, self._path))
            except (DataError, UsageError) as error:
                self._tell(f"{error.what} ({error.where}); the former list is kept")
            due = [endpoint for endpoint, at in self._due.items() if at <= now]
            for endpoint in due:
                self._due[endpoint] = float("inf")  # while it is being tried
        for endpoint in due:
            Thread(target=self._try, args=(endpoint,), name="new server", daemon=True).start()

    def _take_over(self, listed: tuple[Endpoint, ...]) -> None:
        present = self._pool.endpoints
        self._listed, self._told = listed, set()
        self._due = {endpoint: 0.0 for endpoint in listed if endpoint not in present}
        self._apply()

    def _apply(self, *new: Endpoint) -> None:
        """Give the pool the admitted servers of the list; without any, it keeps what it has."""
        before = self._pool.endpoints
        usable = [e for e in self._listed if e in before or e in new]
        if not usable or set(usable) == set(before):
            return
        self._pool.replace(usable)
        for endpoint in usable:
            if endpoint not in before:
                say(f"{self._name}: {endpoint.url} is new in {self._path.name} and gets questions")
        for endpoint in before:
            if endpoint not in usable:
                say(
                    f"{self._name}: {endpoint.url} is no longer in {self._path.name} and gets no "
                    "further questions"
                )

    def _try(self, endpoint: Endpoint) -> None:
        """Admit a new server, or say why not."""
        again: float | None = None
        try:
            self._admit(endpoint)
            error: RagbenchError | None = None
        except (BackendError, PrerequisiteError) as found:  # it may be starting
            error, again = found, self._clock() + AGAIN_S
        except RagbenchError as found:
            error = found
        with self._lock:
            if endpoint not in self._listed:
                return
            self._due.pop(endpoint, None)
            if error is None:
                self._apply(endpoint)
                return
            if again is not None:
                self._due[endpoint] = again
            self._tell(f"{endpoint.url} in {self._path.name} gets no questions: {error.what}")

    def _tell(self, what: str) -> None:
        """Say something once per list."""
        if what not in self._told:
            self._told.add(what)
            say(f"{self._name}: {what}")
