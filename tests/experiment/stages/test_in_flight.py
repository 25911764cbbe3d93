"""Several jobs at a time: all done once, as many as allowed, none begun after the end."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from ragbench.experiment.stages.in_flight import in_flight


@pytest.mark.parametrize("at_once", [1, 2, 4, 100])
def test_every_job_is_done_once(at_once: int) -> None:
    found = list(in_flight(lambda n: n * n, range(20), at_once=at_once))
    assert sorted(found) == [(n, n * n) for n in range(20)]
    assert list(in_flight(str, [], at_once=at_once)) == []


def test_as_many_are_in_flight_as_allowed() -> None:
    """Each job waits until three are under way together; a fourth never is."""
    together = threading.Barrier(3, timeout=300)
    running, most = 0, 0
    lock = threading.Lock()

    def ask(job: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1
        return job

    assert len(list(in_flight(ask, range(9), at_once=3))) == 9
    assert most == 3


def test_results_come_as_they_are_done_and_to_the_thread_that_asks() -> None:
    release = threading.Event()

    def ask(job: str) -> str:
        if job == "slow":
            release.wait(10)
        return threading.current_thread().name

    results = in_flight(ask, ["slow", "fast"], at_once=2)
    assert next(results)[0] == "fast"
    release.set()
    job, thread = next(results)
    assert (job, thread) == ("slow", "in flight")


def test_what_a_job_raises_is_raised_to_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_flight(lambda n: 1 // n, [1, 0, 1], at_once=2))


def test_a_caller_that_stops_waits_for_nothing_and_begins_nothing() -> None:
    hang, begun = threading.Event(), []

    def ask(job: int) -> int:
        begun.append(job)
        if job:
            hang.wait(10)
        return job

    with closing(in_flight(ask, range(50), at_once=2)) as results:
        assert next(results) == (0, 0)
    hang.set()
    for thread in threading.enumerate():
        if thread.name == "in flight":
            assert thread.daemon
            thread.join(10)
    assert len(begun) <= 3
