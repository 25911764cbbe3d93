"""Which server is asked next: the least busy, none that just failed, none beyond its limit."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from ragbench.base.endpoint import Endpoint, parse
from ragbench.models.served.addresses import pool as module
from ragbench.models.served.addresses.pool import AllAway, Pool

A, B, C = (parse(f"http://{name}:8000/v1") for name in "abc")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(module, "say", lines.append)
    return lines


def asked(pool: Pool, outcome: str = "answered") -> Endpoint:
    with pool.turn() as turn:
        if outcome == "failed":
            turn.failed()
        elif outcome == "too many":
            turn.too_many()
    return turn.endpoint


def test_the_least_busy_is_asked_and_of_equals_the_one_asked_longest_ago() -> None:
    pool = Pool("m", [A, B, C], at_once=8)
    assert [asked(pool) for _ in range(4)] == [A, B, C, A]
    with ExitStack() as first, ExitStack() as second:
        assert [first.enter_context(pool.turn()).endpoint for _ in range(2)] == [B, C]
        assert [second.enter_context(pool.turn()).endpoint for _ in range(2)] == [A, B]
        first.close()  # one request is left at A and one at B
        assert [first.enter_context(pool.turn()).endpoint for _ in range(2)] == [C, A]


def test_one_that_fails_is_left_out_for_a_while_and_longer_if_it_fails_again() -> None:
    clock = Clock()
    pool = Pool("m", [A, B], at_once=8, clock=clock)
    assert asked(pool, "failed") == A
    assert [asked(pool) for _ in range(3)] == [B, B, B]
    clock.now += 4.9
    assert (asked(pool), pool.at_once) == (B, 8)
    clock.now += 0.2
    assert (asked(pool, "failed"), pool.at_once) == (A, 8)
    clock.now += 9.9
    assert asked(pool) == B
    clock.now += 0.2
    assert [asked(pool), asked(pool)] == [A, B]
    assert asked(pool, "failed") == A  # it had answered, so this is the first failure again
    clock.now += 5.1
    assert [asked(pool), asked(pool)] == [B, A]


def test_where_all_fail_all_are_asked() -> None:
    pool = Pool("m", [A, B], at_once=8, clock=Clock())
    assert {asked(pool, "failed"), asked(pool, "failed")} == {A, B}
    assert {asked(pool, "failed"), asked(pool, "failed")} == {A, B}
    assert pool.at_once == 16


def test_servers_that_are_waited_for_are_left_out_and_get_turns_once_they_are_back() -> None:
    away = {A}
    pool = Pool("m", [A, B], at_once=8, is_away=lambda endpoint: endpoint in away)
    assert [asked(pool), asked(pool)] == [B, B]
    assert pool.at_once == 8
    assert asked(pool, "failed") == asked(pool) == B  # one that failed before one that is away
    away.add(B)
    assert pool.at_once == 16  # as many may wait as can be asked once they are back
    with pytest.raises(AllAway):
        asked(pool)
    away.clear()
    assert asked(pool) == A


def test_a_turn_waits_no_longer_for_a_free_server_once_all_are_away() -> None:
    away: set[Endpoint] = set()
    pool = Pool("m", [A], at_once=1, is_away=lambda endpoint: endpoint in away)
    with pool.turn(), ThreadPoolExecutor(1) as threads:
        second = threads.submit(asked, pool)
        away.add(A)
        assert isinstance(second.exception(timeout=10), AllAway)


def test_failures_of_an_outage_that_was_waited_for_leave_no_rest() -> None:
    """Five seconds of rest begin at a failure, and the clock does not go on."""
    pool = Pool("m", [A, B], at_once=8, clock=Clock())
    assert asked(pool, "failed") == A
    assert [asked(pool), asked(pool)] == [B, B]
    pool.forgive(A)
    assert [asked(pool), asked(pool)] == [A, B]


def test_requests_that_fail_together_are_one_failure() -> None:
    clock = Clock()
    pool = Pool("m", [A, B], at_once=8, clock=clock)
    with ExitStack() as stack:
        for turn in [stack.enter_context(pool.turn()) for _ in range(16)]:
            if turn.endpoint == A:
                turn.failed()
    clock.now += 5.1
    assert A in [asked(pool), asked(pool)]


def test_429_halves_once_per_burst_and_answers_add_one_at_a_time(said: list[str]) -> None:
    pool = Pool("m", [A], at_once=32)
    with ExitStack() as stack:
        for _ in range(32):
            stack.enter_context(pool.turn()).too_many()
    assert pool.at_once == 16
    assert said == [
        "m: http://a:8000/v1 answers 429 (too many requests); it now gets 16 at a time instead of "
        "32, and gradually more again"
    ]
    for _ in range(17):  # 1/16, then a little less each time: 17 answers are one more at a time
        asked(pool)
    assert pool.at_once == 17
    for _ in range(9):
        asked(pool, "too many")
    assert pool.at_once == 1
    assert len(said) == 1
    for _ in range(2000):
        asked(pool)
    assert pool.at_once == 32


def test_no_server_has_more_requests_than_it_takes(said: list[str]) -> None:
    pool = Pool("m", [A, B], at_once=3)
    lock, running, most = threading.Lock(), Counter[Endpoint](), Counter[Endpoint]()
    together = threading.Barrier(6, timeout=60)

    def ask() -> None:
        for round_ in range(4):
            with pool.turn() as turn:
                with lock:
                    running[turn.endpoint] += 1
                    most[turn.endpoint] = max(most[turn.endpoint], running[turn.endpoint])
                if round_ == 0:
                    together.wait()
                with lock:
                    running[turn.endpoint] -= 1

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == {A: 3, B: 3}
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(pool.turn())
        late = threading.Thread(target=asked, args=(pool,), daemon=True)
        late.start()
        late.join(0.05)
        assert late.is_alive()
    late.join(60)
    assert not late.is_alive()


def test_a_new_server_gets_work_and_a_removed_one_finishes_what_it_has() -> None:
    pool = Pool("m", [A, B], at_once=8)
    with pool.turn() as turn:
        assert turn.endpoint == A
        pool.replace([B, C])
        assert pool.endpoints == (B, C)
        assert [asked(pool) for _ in range(4)] == [B, C, B, C]
    assert [asked(pool) for _ in range(2)] == [B, C]


def test_a_server_that_stays_keeps_its_limit(said: list[str]) -> None:
    pool = Pool("m", [A], at_once=8)
    asked(pool, "too many")
    pool.replace([A, B])
    assert pool.at_once == 4 + 8
