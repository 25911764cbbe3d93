"""A pool's workers are lost, replaced and refused."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

from ragbench.base.cluster import pool as pools
from ragbench.base.cluster.host import Hello
from ragbench.base.errors import BackendError, PrerequisiteError, UnavailableError, UsageError
from tests.base.cluster.workers import ECHO, Here, pool_of


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "LOOK_S", 0.005)


def test_many_threads_share_workers_that_answer_one_call_at_a_time() -> None:
    workers = [Here("a"), Here("b", looks=3)]
    pool = pool_of(workers, 2)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(pool.call, repeat(ECHO), range(20), repeat(0.002))) == [
            2 * n for n in range(20)
        ]
    assert pool.calls == Counter(a=workers[0].asked, b=workers[1].asked)
    assert sum(worker.asked for worker in workers) == 20 and all(w.asked for w in workers)
    pool.close()
    assert all(worker.is_stopped for worker in workers)
    with pytest.raises(UnavailableError, match="have been ended"):
        pool.call(ECHO, 1)


def test_the_call_of_a_lost_worker_is_answered_by_another_and_a_replacement_joins(
    capfd: pytest.CaptureFixture[str],
) -> None:
    lost, whole, new = Here("a", dies_after=2), Here("b"), Here("c", looks=2)
    pool = pool_of([lost, whole, new], 2)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(pool.call, repeat(ECHO), range(30), repeat(0.002)))
    assert found == [2 * n for n in range(30)]
    assert lost.asked == 3 and lost.is_stopped and new.asked > 0
    assert pool.calls["a"] == 2 and sum(pool.calls.values()) == 30
    assert capfd.readouterr().err == (
        "a worker on a was lost (its node is gone); its work is given to another one\n"
    )


def test_work_on_which_three_workers_are_lost_is_an_error_and_the_pool_goes_on() -> None:
    workers = [Here(dies_after=0), Here(dies_after=0), Here(dies_after=0), Here()]
    pool = pool_of(workers, 1)
    with pytest.raises(BackendError, match="3 workers were lost on the same work") as caught:
        pool.call(ECHO, 1)
    assert "its node is gone" in caught.value.what
    assert pool.call(ECHO, 4) == 8


def test_a_pool_without_workers_ends_the_run_after_its_patience() -> None:
    pool = pool_of([Here(looks=10**6)], 1, patience_s=0.05)
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="no worker of the cluster is left"):
        pool.call(ECHO, 1)
    assert 0.05 <= time.monotonic() - started < 2


def test_workers_that_die_while_they_start_are_not_requested_for_ever() -> None:
    pool = pool_of(repeat(Here(fails=True), 3), 1, patience_s=60)
    with pytest.raises(UnavailableError, match="no module named ragbench"):
        pool.call(ECHO, 1)


def test_another_version_and_an_untrusted_node_are_refused_before_they_are_asked() -> None:
    old = Here("10.0.0.2", version="0.0.9")
    with pytest.raises(PrerequisiteError, match=r"ragbench 0\.0\.9 runs on the node 10\.0\.0\.2"):
        pool_of([old], 1).call(ECHO, 1)

    def check(hello: Hello) -> None:
        raise UsageError(f"{hello.address} is not trusted")

    other = Here("10.0.0.3")
    with pytest.raises(UsageError, match=r"10\.0\.0\.3 is not trusted"):
        pool_of([other], 1, check=check).call(ECHO, 1)
    assert old.asked == other.asked == 0 and old.is_stopped and other.is_stopped
