"""Several jobs at a time: all done once, as many as allowed, none started after the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TypeVar

import pytest

from ragbench.experiment.answering import in_flight as module
from ragbench.experiment.answering.in_flight import Lane, in_flight, in_turn

J = TypeVar("J")
R = TypeVar("R")


def one_lane(
    ask: Callable[[J], R], jobs: Iterable[J], *, at_once: int
) -> Generator[tuple[J, R], None, None]:
    return in_flight(ask, [Lane(jobs, lambda _: at_once)])


@pytest.mark.parametrize("at_once", [1, 2, 4, 100])
def test_every_job_is_done_once(at_once: int) -> None:
    found = list(one_lane(lambda n: n * n, range(20), at_once=at_once))
    assert sorted(found) == [(n, n * n) for n in range(20)]
    assert list(one_lane(str, [], at_once=at_once)) == []


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

    assert len(list(one_lane(ask, range(9), at_once=3))) == 9
    assert most == 3


def test_results_come_as_they_are_done_and_to_the_thread_that_asks() -> None:
    release = threading.Event()

    def ask(job: str) -> str:
        if job == "slow":
            release.wait(10)
        return threading.current_thread().name

    results = one_lane(ask, ["slow", "fast"], at_once=2)
    assert next(results)[0] == "fast"
    release.set()
    job, thread = next(results)
    assert (job, thread) == ("slow", "in flight")


def test_what_a_job_raises_is_raised_to_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(one_lane(lambda n: 1 // n, [1, 0, 1], at_once=2))


def test_a_caller_that_stops_waits_for_nothing_and_begins_nothing() -> None:
    hang, begun = threading.Event(), []

    def ask(job: int) -> int:
        begun.append(job)
        if job:
            hang.wait(10)
        return job

    with closing(one_lane(ask, range(50), at_once=2)) as results:
        assert next(results) == (0, 0)
    hang.set()
    for thread in threading.enumerate():
        if thread.name == "in flight":
            assert thread.daemon
            thread.join(10)
    assert len(begun) <= 3


def test_lanes_go_on_side_by_side_and_share_no_limit() -> None:
    """Two jobs of one lane and one of the other are in flight together, again and again."""
    together = threading.Barrier(3, timeout=60)
    wide = Lane([("wide", n) for n in range(8)], lambda _: 2)
    narrow = Lane([("narrow", n) for n in range(4)], lambda _: 1)
    found = [job for job, _ in in_flight(lambda _: together.wait(), [wide, narrow])]
    assert sorted(found) == [*(("narrow", n) for n in range(4)), *(("wide", n) for n in range(8))]


def test_a_slow_job_idles_neither_its_lane_nor_another() -> None:
    slow = threading.Event()
    lanes = [Lane([0, 1, 2, 3], lambda _: 2), Lane([10, 11], lambda _: 1)]
    done = []
    for job, _ in in_flight(lambda job: job or slow.wait(60), lanes):
        done.append(job)
        if len(done) == 5:  # all but the slow one
            slow.set()
    assert sorted(done[:5]) == [1, 2, 3, 10, 11] and done[5] == 0


def test_jobs_of_a_lane_start_in_order_within_the_limit_of_each() -> None:
    """Two jobs may be in flight with each of the first three, and only one with the others."""
    lock, running = threading.Lock(), [0]
    seen: list[tuple[int, int]] = []

    def ask(job: int) -> None:
        with lock:
            running[0] += 1
            seen.append((job, running[0]))
        threading.Event().wait(0.005)
        with lock:
            running[0] -= 1

    list(in_flight(ask, [Lane(range(6), lambda job: 2 if job < 3 else 1)]))
    assert [job for job, _ in sorted(seen)] == list(range(6))
    assert all(together <= (2 if job < 3 else 1) for job, together in seen)


def test_a_limit_that_grows_is_seen_while_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    together = threading.Barrier(2, timeout=60)
    looks: list[None] = []

    def limit(_: int) -> int:
        looks.append(None)
        return 2 if len(looks) > 5 else 0  # 0 counts as 1

    assert len(list(in_flight(lambda _: together.wait(), [Lane([1, 2], limit)]))) == 2


def test_a_lane_that_is_stopped_is_not_waited_for_and_the_others_end() -> None:
    hang = threading.Event()
    bad = Lane(["bad", "hangs", "never"], lambda _: 2)
    good = Lane(list(map(str, range(20))), lambda _: 2)
    asked = []

    def ask(job: str) -> str:
        asked.append(job)
        if job == "hangs":
            hang.wait(60)
        return job

    done = []
    for job, _ in in_flight(ask, [bad, good]):
        done.append(job)
        if job == "bad":
            bad.stop()
    hang.set()
    assert sorted(done) == sorted(["bad", *map(str, range(20))])
    assert "never" not in asked


def test_no_job_starts_once_it_may_not() -> None:
    done: list[int] = []
    for job, _ in in_flight(
        lambda n: n, [Lane(range(50), lambda _: 3)], may_start=lambda: len(done) < 7
    ):
        done.append(job)
    assert 7 <= len(done) <= 7 + 2
    assert sorted(done) == list(range(len(done)))


def test_in_turn_is_in_order_and_in_the_thread_that_asks() -> None:
    lanes = [Lane("ab", lambda _: 1), Lane("c", lambda _: 1)]
    found = list(in_turn(lambda _: threading.current_thread(), lanes))
    assert found == [(job, threading.current_thread()) for job in "abc"]
    done: list[str] = []
    stopping = Lane("abc", lambda _: 1)
    for job, _ in in_turn(str, [stopping], may_start=lambda: len(done) < 3):
        done.append(job)
        if job == "b":
            stopping.stop()
    assert done == ["a", "b"]
