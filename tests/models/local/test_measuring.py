"""The tokens of a pass: chosen by hand-made speeds, and measured by a clock that is not one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import torch

from ragbench.models.local import measuring
from ragbench.models.local.measuring import best_budget, pass_speeds
from ragbench.models.local.tree import tree_log_likelihoods
from tests.models.local.test_families import ATTENTION, model_of


@pytest.mark.parametrize(
    ("speeds", "expected"),
    [
        ({128: 100.0}, 128),
        ({128: 100.0, 256: 150.0, 512: 160.0, 1024: 400.0}, 256),
        ({128: 100.0, 256: 111.0, 512: 123.0}, 512),
        ({128: 100.0, 256: 90.0}, 128),
    ],
)
def test_a_pass_grows_while_it_is_a_tenth_faster(speeds: dict[int, float], expected: int) -> None:
    assert best_budget(speeds) == expected


@pytest.fixture(scope="module")
def llama() -> Any:
    return model_of("llama", ATTENTION["llama"])


def test_speeds_are_tokens_by_seconds(llama: Any) -> None:
    """Every reading of the clock is 1 s later: each pass takes 1 s, two passes 3 s and one more."""
    sizes = measuring.SIZES[:4]
    ticks: Iterator[int] = count()
    found = pass_speeds(llama, sizes=sizes, seconds=1e9, clock=lambda: float(next(ticks)))
    assert found == {size: float(size) for size in sizes}
    short = pass_speeds(llama, seconds=6.0, clock=lambda: float(next(ticks)))
    assert list(short) == [128, 256]


def test_a_pass_that_is_not_faster_is_the_last(llama: Any) -> None:
    """The clock goes on by as much as the tokens seen so far: each size is as fast as the first."""
    seen = [0]
    handle = llama.get_input_embeddings().register_forward_hook(
        lambda _m, given, _o: seen.append(seen[-1] + given[0].numel())
    )
    try:
        found = pass_speeds(llama, seconds=1e9, clock=lambda: float(seen[-1]))
    finally:
        handle.remove()
    assert found == {128: 1.0, 256: 1.0}


def test_without_memory_the_sizes_before_count(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tree_log_likelihoods

    def small(model: Any, items: Any) -> Any:
        if len(items) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, items)

    monkeypatch.setattr(measuring, "tree_log_likelihoods", small)
    ticks = count()
    assert list(pass_speeds(llama, seconds=1e9, clock=lambda: float(next(ticks)))) == [
        128,
        256,
        512,
    ]
