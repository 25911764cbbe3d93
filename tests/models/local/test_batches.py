"""Scores of many prompts: their order, their batches, and a memory that is too small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from ragbench.models.local import batches, prefix
from ragbench.models.local.batches import Sums, Timed, score_all, write_all
from ragbench.models.local.generation import Written
from ragbench.models.local.tree import LONGEST_TREE, Scored, tree_log_likelihoods
from tests.models.local.test_families import ATTENTION, HYBRID, model_of, whole
from tests.models.local.test_tree import FAMILIES

ITEMS = [
    Scored([[20 + n, *range(5, 15 + n), 50 + n], [20 + n, *range(5, 15 + n), 60, 61]], 11 + n)
    for n in range(7)
]


@pytest.fixture(scope="module")
def llama() -> Any:
    return model_of("llama", ATTENTION["llama"])


def check(model: Any, found: Sequence[Sums | Exception], items: Sequence[Scored]) -> None:
    assert len(found) == len(items)
    for item, sums in zip(items, found, strict=True):
        assert isinstance(sums, Sums)
        assert sums.elapsed_s > 0
        expected = [whole(model, ids, item.start) for ids in item.sequences]
        assert sums.values == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_answers_come_in_the_order_of_the_items(
    llama: Any, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def noted(model: Any, items: Sequence[Scored], before: None) -> list[list[float]]:
        sizes.append(len(items))
        return tree_log_likelihoods(model, items)

    monkeypatch.setattr(batches, "tree_log_likelihoods", noted)
    check(llama, score_all(llama, ITEMS, budget=budget), ITEMS)
    assert {1: sizes == [1] * 7, 40: 1 < len(sizes) < 7, 10_000: sizes == [7]}[budget]


@pytest.mark.parametrize("kind", ["mamba", "bloom"])
def test_a_model_that_fits_no_tree_answers_one_by_one(kind: str) -> None:
    model = model_of(kind, (HYBRID | ATTENTION)[kind])
    letters = Scored([[*range(5, 25), n] for n in (50, 51, 52)], 20)
    check(model, score_all(model, [*ITEMS, letters], budget=100), [*ITEMS, letters])


def test_what_is_longer_than_a_tree_is_answered_beside_it(llama: Any) -> None:
    words = [5 + n % 90 for n in range(LONGEST_TREE + 1)]
    long = Scored([[*words, 50, 51], [*words, 60]], len(words))
    check(
        llama, score_all(llama, [ITEMS[0], long, ITEMS[1]], budget=99), [ITEMS[0], long, ITEMS[1]]
    )


def test_a_pass_without_memory_is_halved(
    llama: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = []

    def small(model: Any, items: Sequence[Scored], before: None) -> list[list[float]]:
        sizes.append(len(items))
        if len(items) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tree_log_likelihoods(model, items)

    monkeypatch.setattr(batches, "tree_log_likelihoods", small)
    check(llama, score_all(llama, ITEMS, budget=10_000), ITEMS)
    assert sizes == [7, 3, 1, 2, 4, 2, 2]
    assert "out of memory with 7 questions in one pass" in capsys.readouterr().err


LONG = [5 + 7 * n % 90 for n in range(200)]


@pytest.mark.parametrize("kind", ["llama", "qwen3_moe", "mistral", "mamba"])
def test_examples_before_all_questions_are_computed_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """192 of the 200 tokens are kept, as 64 divides them; a window or a state keeps nothing."""
    window = {"sliding_window": 300} if kind == "mistral" else {}
    model = model_of(kind, FAMILIES[kind][0] | window)
    items = [
        Scored([[*LONG, 30 + n, 40, letter] for letter in (50, 51, 52)], len(LONG) + 2)
        for n in range(6)
    ]
    computed: list[int] = []

    def noted(model: Any, ids: Sequence[int]) -> Any:
        computed.append(len(ids))
        return cached(model, ids)

    cached = prefix._cached
    monkeypatch.setattr(prefix, "_cached", noted)
    for some in (items[:3], items[3:], items):
        check(model, score_all(model, some, budget=10), some)
    kept = [size for size in computed if size >= 128]
    assert kept == ([192] if kind in ("llama", "qwen3_moe") else [])


def test_texts_that_end_in_the_examples_are_scored_whole(llama: Any) -> None:
    items = [Scored([[*LONG[:150], 50, 51]], 100), Scored([[*LONG[:150], 60, 61]], 140)]
    check(llama, score_all(llama, items, budget=1000), items)


def test_an_item_that_fails_takes_no_other_with_it(
    llama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: Any, items: Sequence[Scored], before: None) -> list[list[float]]:
        if any(item is ITEMS[3] for item in items):
            raise RuntimeError("a bad input")
        return tree_log_likelihoods(model, items)

    def fail_alone(*_: object, **__: object) -> list[float]:
        raise RuntimeError("a bad input")

    monkeypatch.setattr(batches, "tree_log_likelihoods", fail)
    monkeypatch.setattr(batches, "option_log_likelihoods", fail_alone)
    found = score_all(llama, ITEMS, budget=10_000)
    assert str(found[3]) == "a bad input"
    rest = [n for n in range(7) if n != 3]
    check(llama, [found[n] for n in rest], [ITEMS[n] for n in rest])


PROMPTS = [[5] * n for n in (9, 2, 30, 4, 3)]


def written(prompts: Sequence[Sequence[int]]) -> list[Written]:
    """Each prompt's length, as a reply of as many tokens."""
    return [Written(str(len(ids)), len(ids), "stop") for ids in prompts]


@pytest.mark.parametrize(
    ("kind", "budget", "groups"),
    [
        # With replies of 10 tokens, 2, 3 and 4 hold 3 x 14, and 9 would make it 4 x 19.
        ("llama", 60, [[2, 3, 4], [9], [30]]),
        ("llama", 1000, [[2, 3, 4, 9, 30]]),
        ("llama", 0, [[2], [3], [4], [9], [30]]),
        ("mamba", 1000, [[2], [3], [4], [9], [30]]),
    ],
)
def test_replies_are_written_together_within_the_budget(
    kind: str, budget: int, groups: list[list[int]]
) -> None:
    asked = []

    def write(prompts: Sequence[Sequence[int]]) -> list[Written]:
        asked.append([len(ids) for ids in prompts])
        return written(prompts)

    model = model_of(kind, (HYBRID | ATTENTION)[kind])
    found = write_all(model, PROMPTS, write, limit=10, budget=budget)
    assert asked == groups
    assert [one.written.text for one in found if isinstance(one, Timed)] == "9 2 30 4 3".split()


def test_a_reply_that_fails_takes_no_other_with_it(llama: Any) -> None:
    def write(prompts: Sequence[Sequence[int]]) -> list[Written]:
        if any(len(ids) == 4 for ids in prompts):
            raise RuntimeError("a bad input")
        return written(prompts)

    found = write_all(llama, PROMPTS, write, limit=10, budget=1000)
    assert [type(one).__name__ for one in found] == ["Timed"] * 3 + ["RuntimeError", "Timed"]
