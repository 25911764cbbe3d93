"""The part of a backend that uses the servers of a file, which may change during a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import UsageError
from ragbench.models.served.addresses.pool import Pool
from ragbench.models.served.addresses.watch import Watch


class Adapting(ABC):
    """Base of a backend whose servers are in a ``Pool``; it is ``Adaptive``."""

    _pool: Pool
    _watch: Watch | None = None
    _allows: Callable[[Endpoint], None] | None = None

    def _use(self, pool: Pool, name: str, path: Path | None) -> Callable[[], None]:
        """Use the servers of a pool, and those of the file at ``path`` if there is one.

        Return the function that looks at the file, at most once a second.
        """
        self._pool = pool
        if path is not None:
            self._watch = Watch(name, path, pool, self._admit)
        return self._look

    def _look(self) -> None:
        if self._watch is not None:
            self._watch.look()

    def allow_new(self, check: Callable[[Endpoint], None]) -> None:
        """Let new servers of the file be asked that the check does not refuse."""
        self._allows = check

    def in_flight_now(self) -> int:
        """Return the number of requests that all servers together take; look at the file."""
        self._look()
        return self._pool.at_once

    def _admit(self, endpoint: Endpoint) -> None:
        if self._allows is None:
            raise UsageError(f"nothing says that {endpoint.host} may be asked")
        self._allows(endpoint)  # before a byte is sent
        self.check_same(endpoint)

    @abstractmethod
    def check_same(self, endpoint: Endpoint) -> None:
        """Refuse a new server whose answers would be those of another model.

        Raises:
            UsageError: It is another model, or is served in another way.
            PrerequisiteError: It cannot be reached or cannot do what the tasks need.
        """
