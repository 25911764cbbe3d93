"""Several jobs at a time, with their results read by one thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def in_flight(
    ask: Callable[[J], R],
    jobs: Sequence[J],
    *,
    at_once: int,
    may_start: Callable[[], bool] = lambda: True,
) -> Generator[tuple[J, R], None, None]:
    """Yield each job with its result, in the order of completion.

    If the caller stops early, no further job is started. Jobs in flight are not waited for and do
    not keep the process alive, as a server may take minutes to answer.

    Args:
        ask: Function that runs in a thread of its own per job.
        jobs: All jobs.
        at_once: Number of jobs in flight.
        may_start: Asked before each job; once it is false, jobs in flight are yielded and no other
            is started.

    Raises:
        Exception: Whatever ``ask`` raised.
    """
    waiting: SimpleQueue[J] = SimpleQueue()
    done: SimpleQueue[tuple[J, R] | BaseException | None] = SimpleQueue()  # None: a thread ends
    stopped = Event()
    slots = Semaphore(at_once)  # jobs that were started and whose results the caller has not done
    for job in jobs:
        waiting.put(job)

    def work() -> None:
        while slots.acquire() and not stopped.is_set() and may_start():
            try:
                job = waiting.get_nowait()
            except Empty:
                break
            try:
                done.put((job, ask(job)))
            except BaseException as error:  # raised again in the reading thread
                done.put(error)
        slots.release()  # another thread that waits ends as well
        done.put(None)

    working = min(at_once, len(jobs))
    for _ in range(working):
        Thread(target=work, name="in flight", daemon=True).start()
    try:
        while working:
            found = done.get()
            if found is None:
                working -= 1
            elif isinstance(found, BaseException):
                raise found
            else:
                yield found
                slots.release()
    finally:
        stopped.set()
        slots.release(at_once)
