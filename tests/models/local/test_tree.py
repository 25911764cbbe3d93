"""Many sequences in one pass, against each sequence in a pass of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragbench.models.local import tree
from ragbench.models.local.tree import (
    LONGEST_TREE,
    Scored,
    Tree,
    longest_tree,
    packs,
    tree_log_likelihoods,
)
from tests.models.local.test_families import ATTENTION, HYBRID, PROMPT, model_of, whole

SAMPLE = list(range(5, 60))


def test_a_tree_by_hand() -> None:
    """a b c, a b d e and a b c f: the last tokens c, e and f are not asked about."""
    tree = Tree()
    paths = [tree.add(ids) for ids in ([1, 2, 3], [1, 2, 4, 5], [1, 2, 3, 6])]
    assert tree.tokens == [1, 2, 4, 3]
    assert tree.parents == [-1, 0, 1, 1]
    assert tree.depths == [0, 1, 2, 2]
    assert paths == [[0, 1], [0, 1, 2], [0, 1, 3]]
    assert tree.mask().astype(int).tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [1, 1, 0, 1],
    ]
    assert not tree.is_line


def test_letters_are_one_line() -> None:
    tree = Tree()
    for letter in (7, 8, 9):
        tree.add([1, 2, 3, letter])
    assert tree.is_line
    assert tree.tokens == [1, 2, 3]


TOKENS = st.lists(st.integers(3, 8), min_size=1, max_size=12)
ITEMS = st.lists(
    st.tuples(TOKENS, st.lists(TOKENS, min_size=1, max_size=4)).map(
        lambda item: Scored([item[0] + reply for reply in item[1]], len(item[0]))
    ),
    min_size=1,
    max_size=6,
)


@given(items=ITEMS, budget=st.integers(1, 60))
def test_every_item_is_in_one_pass(items: list[Scored], budget: int) -> None:
    found = list(packs(items, budget=budget, vocabulary=10, width=8))
    assert sorted(place for pack in found for place in pack) == list(range(len(items)))


def prompts(count: int, shared: int, own: int) -> list[Scored]:
    """Letters of prompts that share tokens and have others of their own."""
    return [
        Scored([[*range(shared), *[10_000 + n] * own, letter] for letter in (1, 2)], shared + own)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        # k prompts cost 64 + T + T^2 / 3456 with T = 450 + 107 k. Per prompt that is 222 for 12,
        # 233 for 8, 238 for 24, 711 for 1; so 24 prompts take two passes.
        (prompts(24, 450, 107), [12, 12]),
        # Twice 64 + 500 + 72 is less than 64 + 1000 + 289.
        (prompts(4, 0, 500), [1, 1, 1, 1]),
        # 512 tokens at most: five cost 64 + 500 + 72, ten 64 + 1000 + 289.
        (prompts(10, 0, 100), [5, 5]),
        # Passages of k = 1, 5, 10 (150, 400 and 750 tokens that begin alike): 64 + 850 + 209
        # together; alone 3 x 64 + 1300 + 215.
        (
            [Scored([[*range(k), *[20_000 + k] * 50, 1]], k + 50) for k in (100, 350, 700)],
            [3],
        ),
    ],
    ids=["few-shot", "unrelated", "short", "nested"],
)
def test_passes_of_the_least_cost_by_hand(items: list[Scored], expected: list[int]) -> None:
    found = list(packs(items, budget=512, vocabulary=10, width=576))
    assert [len(pack) for pack in found] == expected


def test_prompts_that_do_not_pay_for_each_other_share_one_pass() -> None:
    """1,200 tokens in one pass cost 64 + 1,200; in two, 128 + 1,200."""
    items = prompts(12, 0, 100)
    assert len(list(packs(items, budget=512, vocabulary=10, width=None))) == 1
    assert len(list(packs(items, budget=512, vocabulary=10, width=576))) > 1


def test_no_pass_exceeds_the_longest_tree() -> None:
    """64 prompts of 100 tokens that share 3,000: 11 of them have 4,100 tokens."""
    found = list(packs(prompts(64, 3_000, 100), budget=512, vocabulary=10, width=100_000))
    assert max(len(pack) for pack in found) == 10


def test_the_logits_of_a_pass_are_bounded() -> None:
    """With 2^26 numbers at most and 2^25 per token, two tokens are scored at once."""
    items = [Scored([[1, 2, n]], 2) for n in range(5)]
    found = list(packs(items, budget=100, vocabulary=1 << 25, width=8))
    assert sorted(len(pack) for pack in found) == [1, 2, 2]


@pytest.fixture(scope="module")
def llama() -> Any:
    return model_of("llama", ATTENTION["llama"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(items=ITEMS)
def test_the_numbers_are_those_of_whole_passes(llama: Any, items: list[Scored]) -> None:
    expected = [[whole(llama, ids, item.start) for ids in item.sequences] for item in items]
    found = tree_log_likelihoods(llama, items)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


FAMILIES = {
    **{kind: (config, LONGEST_TREE) for kind, config in ATTENTION.items()},
    **{kind: (config, 0) for kind, config in HYBRID.items()},
    # A mask of a tree has no window.
    **{
        kind: (ATTENTION[kind] | {"sliding_window": 64}, 64)
        for kind in ("mistral", "gemma3_text", "cohere2", "gpt_oss")
    },
    "phi3": ({"sliding_window": 8}, 0),
    # Attention falls with the distance in the row, which is not that in the sequence.
    "bloom": (ATTENTION["bloom"], 0),
    "mpt": (ATTENTION["mpt"], 0),
    "qwen3_moe": ({"num_experts": 4, "num_experts_per_tok": 2}, LONGEST_TREE),
}
DEFAULT_TIER = ("llama", "mistral", "bloom", "mamba", "qwen3_moe")


@pytest.mark.parametrize(
    "kind",
    [k if k in DEFAULT_TIER else pytest.param(k, marks=pytest.mark.slow) for k in FAMILIES],
)
def test_a_family_is_in_a_tree_only_with_its_own_numbers(kind: str) -> None:
    config, longest = FAMILIES[kind]
    model = model_of(kind, config)
    assert longest_tree(model, SAMPLE) == longest
    if not longest:
        return
    start = len(PROMPT)
    items = [
        Scored([[*PROMPT, 50, 51, 52], [*PROMPT, 60], [*PROMPT, 50]], start),
        Scored([[*PROMPT[2:], 61, 62], [*PROMPT[2:], 63]], start - 2),
    ]
    found = tree_log_likelihoods(model, items)
    for item, ours in zip(items, found, strict=True):
        expected = [whole(model, ids, item.start) for ids in item.sequences]
        assert ours == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0},
        {"rope_type": "longrope", "factor": 2.0, "rope_theta": 10000.0}
        | {"long_factor": [1.0] * 8, "short_factor": [1.0] * 8}
        | {"original_max_position_embeddings": 64},
    ],
)
def test_positions_that_depend_on_the_longest_keep_a_model_out(rope: dict[str, Any]) -> None:
    assert longest_tree(model_of("llama", {"rope_parameters": rope}), SAMPLE) == 0


def test_models_of_one_code_and_config_are_examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = tree.tree_log_likelihoods

    def noted(model: Any, items: list[Scored]) -> list[list[float]]:
        asked.append(id(model))
        return real(model, items)

    monkeypatch.setattr(tree, "tree_log_likelihoods", noted)
    one, other = model_of("llama", {"vocab_size": 101}), model_of("llama", {"vocab_size": 101})
    wider = model_of("llama", {"vocab_size": 102})
    assert [longest_tree(model, SAMPLE) for model in (one, other, wider)] == [LONGEST_TREE] * 3
    assert set(asked) == {id(one), id(wider)}


def test_an_attention_that_takes_no_mask_keeps_a_model_out() -> None:
    model = model_of("llama", {})
    model.config._attn_implementation = "flash_attention_2"
    assert longest_tree(model, SAMPLE) == 0


def test_bfloat16_gives_what_its_own_passes_give() -> None:
    """The tree is a different order of additions, which bfloat16 rounds to 8 bits."""
    model = model_of("llama", {}).to(torch.bfloat16)
    assert longest_tree(model, SAMPLE) == LONGEST_TREE
    items = [Scored([[*PROMPT, 50, 51], [*PROMPT, 60]], len(PROMPT))]
    (found,) = tree_log_likelihoods(model, items)
    expected = [whole(model, ids, len(PROMPT)) for ids in items[0].sequences]
    assert np.abs(np.array(found) - expected).max() < 0.1
