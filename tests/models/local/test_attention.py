"""Attention in blocks, against the definition in float64 and against sdpa."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from ragbench.models.local.attention import _shown, attend_in_blocks, suits, use_blocks
from ragbench.models.local.batches import Sums, score_all
from ragbench.models.local.tree import LONGEST_TREE, Scored, Tree, longest_tree
from tests.models.local.test_families import ATTENTION, PROMPT, model_of, whole
from tests.models.local.test_tree import FAMILIES

MODULE = nn.Module()


def defined(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """softmax(Q K' / sqrt(d)) V over the keys that are seen, per head, in float64."""
    repeats = query.shape[1] // key.shape[1]
    key, value = (x.double().repeat_interleave(repeats, 1) for x in (key, value))
    scores = query.double() @ key.transpose(2, 3) / math.sqrt(query.shape[3])
    weights = torch.softmax(scores.masked_fill(~seen, -math.inf), dim=-1)
    return (weights @ value).transpose(1, 2)


def tensors(batch: int, heads: int, kept: int, asked: int, known: int) -> list[torch.Tensor]:
    torch.manual_seed(asked + known)
    sizes = [(heads, asked), (kept, known), (kept, known)]
    return [torch.randn(batch, *size, 16).to(torch.bfloat16) for size in sizes]


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """bfloat16 has 8 bits: scores up to 4 err by 2^-7, so weights by 1 %; values are up to 4."""
    assert found.dtype == torch.bfloat16
    assert float((found.double() - expected).abs().max()) < 0.05


@pytest.mark.parametrize("size", [16, 191, 192, 193, 400])
@pytest.mark.parametrize(("heads", "kept"), [(4, 4), (6, 2)])
def test_a_line_of_tokens_sees_what_is_before(size: int, heads: int, kept: int) -> None:
    query, key, value = tensors(1, heads, kept, size, size)
    found, weights = attend_in_blocks(MODULE, query, key, value, None, is_causal=True)
    assert weights is None
    close(found, defined(query, key, value, torch.ones(size, size).tril().bool()))


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 99),
    batch=st.integers(1, 2),
    asked=st.sampled_from([16, 200, 400]),
    before=st.sampled_from([0, 64]),
    as_numbers=st.booleans(),
)
def test_any_mask_says_what_is_seen(
    seed: int, batch: int, asked: int, before: int, as_numbers: bool
) -> None:
    known = before + asked
    query, key, value = tensors(batch, 4, 2, asked, known)
    torch.manual_seed(seed)
    seen = torch.rand(batch, 1, asked, known) < 0.3
    seen[:, :, torch.arange(asked), torch.arange(before, known)] = True
    mask = seen
    if as_numbers:
        least = torch.finfo(torch.bfloat16).min
        mask = torch.zeros(seen.shape, dtype=torch.bfloat16).masked_fill_(~seen, least)
    for _ in range(2):  # a second layer has the same mask
        found, _ = attend_in_blocks(MODULE, query, key, value, mask)
        close(found, defined(query, key, value, seen))


def test_prompts_beside_each_other_have_blocks_of_their_own() -> None:
    """Two prompts of 200 tokens after 10 that both have: each in two blocks, which leave out the
    other's keys."""
    line = Tree()
    for first in (1, 2):
        line.add([*range(500, 510), *[first] * 200, 0])
    mask = torch.from_numpy(line.mask())[None, None]
    query, key, value = tensors(1, 4, 2, 410, 410)
    close(attend_in_blocks(MODULE, query, key, value, mask)[0], defined(query, key, value, mask))
    blocks = _shown(mask, (1, 2, 2))
    assert [(block.rows.start, block.rows.stop) for block in blocks] == [
        *((0, 105), (105, 210)),
        *((210, 310), (310, 410)),
    ]
    seen = [[n for some in block.keys for n in range(some.start, some.stop)] for block in blocks]
    assert seen[:2] == [list(range(105)), list(range(210))]
    assert seen[2:] == [[*range(10), *range(210, end)] for end in (310, 410)]


def test_a_row_of_padding_gets_numbers() -> None:
    query, key, value = tensors(1, 2, 2, 32, 32)
    least = torch.finfo(torch.bfloat16).min
    for mask in (
        torch.zeros(1, 1, 32, 32, dtype=torch.bool),
        torch.full((1, 1, 32, 32), least, dtype=torch.bfloat16),
    ):
        found, _ = attend_in_blocks(MODULE, query, key, value, mask)
        assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (lambda x: x.float(), {"is_causal": True}),
        (lambda x: x[:, :, :8], {"is_causal": True}),
        (lambda x: x, {"is_causal": False}),
        (lambda x: x, {"is_causal": True, "position_bias": torch.ones(1, 2, 32, 32).bfloat16()}),
    ],
)
def test_what_it_does_not_compute_is_left_to_sdpa(change: Any, more: dict[str, Any]) -> None:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    query, key, value = map(change, tensors(1, 2, 2, 32, 32))
    found, _ = attend_in_blocks(MODULE, query, key, value, None, **more)
    expected, _ = sdpa_attention_forward(MODULE, query, key, value, None, **more)
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("kind", "config"),
    [("llama", {}), ("mistral", {"sliding_window": 8}), ("qwen3_moe", FAMILIES["qwen3_moe"][0])],
)
def test_a_model_in_blocks_is_as_near_to_float32_as_with_sdpa(
    kind: str, config: dict[str, Any]
) -> None:
    exact = model_of(kind, config)
    torch_own, ours = (model_of(kind, config).to(torch.bfloat16) for _ in range(2))
    assert use_blocks(ours)
    assert not use_blocks(ours)  # it uses them already
    sequences = [[*PROMPT, *PROMPT[::-1], n] for n in (50, 60, 70)]
    start = 2 * len(PROMPT)
    for ids in sequences:
        expected = whole(exact, ids, start)
        assert abs(whole(ours, ids, start) - expected) <= 0.05 + abs(
            whole(torch_own, ids, start) - expected
        )


def test_prompts_share_passes_in_blocks() -> None:
    model = model_of("llama", {}).to(torch.bfloat16)
    assert use_blocks(model)
    assert longest_tree(model, PROMPT) == LONGEST_TREE
    items = [Scored([[*PROMPT, 50 + n, 40, 41], [*PROMPT, 50 + n, 42]], 41) for n in range(4)]
    for item, sums in zip(items, score_all(model, items, budget=1000), strict=True):
        assert isinstance(sums, Sums)
        expected = [whole(model, ids, item.start) for ids in item.sequences]
        assert sums.values == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("kind", ["gpt_oss", "mpt"])
def test_code_that_has_an_attention_of_its_own_keeps_it(kind: str) -> None:
    model = model_of(kind, ATTENTION[kind]).to(torch.bfloat16)
    before = model.config._attn_implementation
    assert not use_blocks(model)
    assert model.config._attn_implementation == before


@pytest.mark.parametrize(
    ("asked", "device", "dtype", "expected"),
    [
        ("auto", "cpu", "bfloat16", True),
        ("sdpa", "cpu", "bfloat16", False),
        ("auto", "cuda", "bfloat16", False),
        ("auto", "cpu", "float32", False),
    ],
)
def test_only_processors_in_bfloat16_have_blocks(
    asked: str, device: str, dtype: str, expected: bool
) -> None:
    assert suits(asked, device, dtype) is expected
