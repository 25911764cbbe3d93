"""Workers of one kind that many threads ask; a lost one is replaced, and its call is repeated."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from threading import Condition
from typing import Any, Protocol

from ragbench.base.cluster.host import VERSION, Failure, Hello
from ragbench.base.errors import BackendError, PrerequisiteError, UnavailableError
from ragbench.base.progress import say

TRIES = 3  # workers that may be lost during one call
PATIENCE_S = 600.0  # without any worker; a node may come back, or another job end
LOOK_S = 0.2  # between two looks for workers that have started


class LostError(Exception):
    """A worker has died, or its node or its answer is gone."""


class Worker(Protocol):
    """A process elsewhere with one object."""

    def ready(self) -> Hello | None:
        """Return what the worker says once it has started; None before.

        Raises:
            LostError: It has died.
        """

    def ask(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Return what a method of its object returns; ``Failure`` for an error of ragbench.

        Raises:
            LostError: The worker has died.
        """

    def stop(self) -> None:
        """End the worker."""


class Pool:
    """Workers that each answer one call at a time.

    Args:
        start: Requests a worker, which may take long to start.
        size: Number of workers.
        check: Refuses a worker by an error before anything is sent to it.
        patience_s: Seconds that a call waits while there is no worker at all.
    """

    def __init__(
        self,
        start: Callable[[], Worker],
        size: int,
        *,
        check: Callable[[Hello], None] = lambda hello: None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.size = size
        self.calls: Counter[str] = Counter()  # that were answered, by the address of the node
        self._start = start
        self._check = check
        self._patience_s = patience_s
        self._changed = Condition()
        self._free: deque[Worker] = deque()
        self._busy: set[Worker] = set()
        self._hellos: dict[Worker, Hello] = {}
        self._failed_starts = 0
        self._why = ""
        self._is_closed = False
        self._alive_at = time.monotonic()
        self._starting = [start() for _ in range(size)]

    def call(self, method: str, *arguments: object) -> Any:
        """Return what a method of a free worker's object returns; wait until a worker is free.

        Raises:
            BackendError: Several workers were lost during this call, one after another.
            UnavailableError: There is no worker, and none has started for a long time.
            RagbenchError: The method raised it, or a worker is refused.
        """
        why = ""
        for _ in range(TRIES):
            worker = self._take()
            is_lost = True
            try:
                found = worker.ask(method, arguments)
                is_lost = False
            except LostError as lost:
                why = str(lost)
                say(
                    f"a worker on {self._hellos[worker].address} was lost ({why}); its work is "
                    "given to another one"
                )
                continue
            finally:
                self._give_back(worker, is_lost=is_lost)
            if isinstance(found, Failure):
                raise found.error()
            return found
        raise BackendError(f"{TRIES} workers were lost on the same work; the last: {why}")

    def close(self) -> None:
        """End all workers."""
        with self._changed:
            self._is_closed = True
            every = [*self._starting, *self._free, *self._busy]
            self._starting.clear()
            self._free.clear()
            self._changed.notify_all()
        for worker in every:
            worker.stop()

    def _take(self) -> Worker:
        with self._changed:
            while True:
                if self._is_closed:
                    raise UnavailableError("the workers of the cluster have been ended")
                self._admit()
                if self._free:
                    worker = self._free.popleft()
                    self._busy.add(worker)
                    return worker
                now = time.monotonic()
                if self._busy:
                    self._alive_at = now
                elif not self._starting or now - self._alive_at > self._patience_s:
                    raise self._no_worker()
                self._changed.wait(LOOK_S)

    def _give_back(self, worker: Worker, *, is_lost: bool) -> None:
        with self._changed:
            self._busy.discard(worker)
            self._alive_at = time.monotonic()
            if self._is_closed:
                pass
            elif is_lost:
                self._starting.append(self._start())
            else:
                self.calls[self._hellos[worker].address] += 1
                self._free.append(worker)
            self._changed.notify()
        if is_lost:
            worker.stop()

    def _admit(self) -> None:
        """Let workers in that have started, and request others for those that have failed to."""
        for worker in list(self._starting):
            try:
                hello = worker.ready()
            except LostError as lost:
                self._starting.remove(worker)
                self._failed_starts += 1
                self._why = str(lost)
                if self._failed_starts < TRIES * self.size:
                    self._starting.append(self._start())
                continue
            if hello is None:
                continue
            self._starting.remove(worker)
            try:
                _check_version(hello)
                self._check(hello)
            except BaseException:
                worker.stop()
                raise
            self._failed_starts = 0
            self._hellos[worker] = hello
            self._free.append(worker)

    def _no_worker(self) -> UnavailableError:
        why = f": {self._why}" if self._why else ""
        return UnavailableError(
            f"no worker of the cluster is left, and none has started{why}",
            where=f"{self.size} were requested",
            fix="see what `ray status` and the logs in /tmp/ray/session_latest/logs say, and run "
            "the same command again; nothing that was answered is lost",
        )


def _check_version(hello: Hello) -> None:
    if hello.version != VERSION:
        raise PrerequisiteError(
            f"ragbench {hello.version} runs on the node {hello.address}, and {VERSION} here",
            where="nodes of the cluster",
            fix="install the same version on every node, and start Ray on them again",
        )
