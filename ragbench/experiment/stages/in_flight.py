"""Several jobs asked at a time, their results taken by one thread as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def in_flight(
    ask: Callable[[J], R], jobs: Sequence[J], *, at_once: int
) -> Generator[tuple[J, R], None, None]:
    """Yield each job with its result, in the order in which they are done.

    Where the caller stops early, no further job is begun; those in flight are not waited for, and
    their threads do not keep the process alive, for a server may take minutes to answer.

    Args:
        ask: What is done with a job, in a thread of its own.
        jobs: All jobs.
        at_once: How many are in flight at a time.

    Yields:
        A job and its result; every job once.

    Raises:
        Exception: What ``ask`` raised, here and now.
    """
    waiting: SimpleQueue[J] = SimpleQueue()
    done: SimpleQueue[tuple[J, R] | BaseException] = SimpleQueue()
    stopped = Event()
    for job in jobs:
        waiting.put(job)

    def work() -> None:
        while not stopped.is_set():
            try:
                job = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((job, ask(job)))
            except BaseException as error:  # it is raised where the results are read
                done.put(error)

    for _ in range(min(at_once, len(jobs))):
        Thread(target=work, name="in flight", daemon=True).start()
    try:
        for _ in jobs:
            found = done.get()
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        stopped.set()
