"""The engine's keys, its absence, and requests of several threads as one batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest
from pydantic import ValidationError

from ragbench.base.errors import PrerequisiteError
from ragbench.models.vllm.engine import Asked, Batches, EngineOptions, engine_version


def test_requests_of_several_threads_are_one_batch_and_come_back_in_order() -> None:
    sizes: list[int] = []

    def answer(batch: Sequence[Asked]) -> list[int]:
        sizes.append(len(batch))
        time.sleep(0.05)
        return [sum(request.ids) for request in batch]

    batches = Batches(answer, gather_s=0.01)
    ready = threading.Barrier(16)

    def ask(n: int) -> list[int]:
        ready.wait()
        found = batches.ask([Asked([n, 1], None), Asked([n, 2], None)])
        return [one.output for one in found]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == [[n + 1, n + 2] for n in range(16)]
    assert sum(sizes) == 32
    assert len(sizes) < 8  # 16 without batches


def test_seconds_of_a_batch_are_shared_so_that_their_sum_is_its_time() -> None:
    def answer(batch: Sequence[Asked]) -> list[int]:
        time.sleep(0.1)
        return [0] * len(batch)

    found = Batches(answer, gather_s=0.0).ask([Asked([1], None)] * 5)
    assert 0.1 <= sum(one.seconds for one in found) < 5 * 0.1


def test_an_error_of_a_batch_reaches_every_thread_and_the_next_batch_works() -> None:
    fails = [True]

    def answer(batch: Sequence[Asked]) -> list[int]:
        if fails.pop():
            raise RuntimeError("the engine died")
        return [1] * len(batch)

    batches = Batches(answer, gather_s=0.0)
    with pytest.raises(RuntimeError, match="the engine died"):
        batches.ask([Asked([1], None)])
    fails.append(False)
    assert [one.output for one in batches.ask([Asked([1], None)])] == [1]


@pytest.mark.parametrize(
    "keys",
    [
        {"worker_cls": "evil.Worker"},
        {"otlp_traces_endpoint": "http://far.example:4317"},
        {"kv_transfer_config": {}},
        {"model": "another"},
        {"enable_prefix_caching": False},
        {"gpu_memory_utilization": 1.5},
        {"tensor_parallel_size": 0},
    ],
)
def test_arguments_that_run_code_send_text_or_are_ragbenchs_own_are_refused(
    keys: dict[str, object],
) -> None:
    with pytest.raises(ValidationError):
        EngineOptions.model_validate(keys)


def test_only_given_arguments_reach_the_engine() -> None:
    assert EngineOptions().given() == {}
    given = EngineOptions(tensor_parallel_size=2, enforce_eager=True).given()
    assert given == {"tensor_parallel_size": 2, "enforce_eager": True}


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vllm is installed")
def test_its_absence_is_named_with_both_ways_out() -> None:
    with pytest.raises(PrerequisiteError, match="needs the package vllm") as caught:
        engine_version("models: m")
    assert caught.value.where == "models: m"
    assert "pip install vllm" in caught.value.fix
    assert "backend: server" in caught.value.fix
