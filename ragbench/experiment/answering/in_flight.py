"""Jobs of several lanes at a time, with their results read by one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")

LOOK_S = 1.0  # between two looks whether a lane takes more jobs, if none is done meanwhile


class Lane(Generic[J]):
    """Jobs that are started in their order; each is made shortly before its start.

    Args:
        jobs: All jobs.
        at_once: Number of the lane's jobs that may be in flight while a job is among them. It is
            asked again before every start, so that it may change.
    """

    def __init__(self, jobs: Iterable[J], at_once: Callable[[J], int]) -> None:
        self._jobs = iter(jobs)
        self._next: deque[J] = deque()  # at most one job, which waits for its start
        self._at_once = at_once
        self.in_flight = 0
        self.is_stopped = False

    @property
    def is_waiting(self) -> bool:
        """Whether jobs are left to start."""
        if not self._next:
            self._next.extend(islice(self._jobs, 1))
        return bool(self._next)

    @property
    def is_going(self) -> bool:
        """Whether jobs are left to start or to wait for."""
        return not self.is_stopped and (self.is_waiting or self.in_flight > 0)

    def next(self) -> J | None:
        """Take the next job if it may start now."""
        if not self.is_waiting or self.in_flight >= max(1, self._at_once(self._next[0])):
            return None
        self.in_flight += 1
        return self._next.popleft()

    def stop(self) -> None:
        """Start no further job, and wait for none of those in flight."""
        self._jobs = iter(())
        self._next.clear()
        self.is_stopped = True


@dataclass(frozen=True, slots=True)
class _Done(Generic[J, R]):
    lane: Lane[J]
    job: J
    result: R


def in_flight(
    ask: Callable[[J], R],
    lanes: Sequence[Lane[J]],
    *,
    may_start: Callable[[], bool] = lambda: True,
) -> Generator[tuple[J, R], None, None]:
    """Yield each job with its result, in the order of completion.

    If the caller stops early, no further job is started. Jobs in flight are not waited for and do
    not keep the process alive, as a server may take minutes to answer.

    Args:
        ask: Function that runs in a thread of its own per job.
        lanes: Jobs that go on side by side.
        may_start: Asked before each job; once it is false, jobs in flight are yielded and no other
            is started.

    Raises:
        Exception: Whatever ``ask`` raised.
    """
    done: SimpleQueue[_Done[J, R] | BaseException] = SimpleQueue()

    def work(lane: Lane[J], job: J) -> None:
        try:
            done.put(_Done(lane, job, ask(job)))
        except BaseException as error:  # raised again in the reading thread
            done.put(error)

    def start() -> None:
        for lane in lanes:
            while may_start() and (job := lane.next()) is not None:
                Thread(target=work, args=(lane, job), name="in flight", daemon=True).start()

    while True:
        start()
        if not any(lane.is_going and (lane.in_flight or may_start()) for lane in lanes):
            return
        try:
            found = done.get(timeout=LOOK_S)
        except Empty:
            continue
        if isinstance(found, BaseException):
            raise found
        yield found.job, found.result
        found.lane.in_flight -= 1


def in_turn(
    ask: Callable[[J], R],
    lanes: Sequence[Lane[J]],
    *,
    may_start: Callable[[], bool] = lambda: True,
) -> Generator[tuple[J, R], None, None]:
    """Yield each job with its result, one after the other in the calling thread.

    Arguments and errors are those of ``in_flight``.
    """
    for lane in lanes:
        while may_start() and (job := lane.next()) is not None:
            yield job, ask(job)
            lane.in_flight -= 1
