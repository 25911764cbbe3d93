"""The shared prefix against whole forward passes, with the real SmolLM2 in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragbench.base.records import Message
from ragbench.metrics.choice import pick_option
from ragbench.models.local.hf import HfModel
from ragbench.models.local.prefix import option_log_likelihoods
from ragbench.models.spec import ModelSpec

# Token ids of any text; what counts is where sequences part and where continuations begin.
A = [504, 3575, 282, 4649, 314, 253, 1123]
B = [42, 447, 198, 30059, 260]


def reference(model: Any, ids: Sequence[int], start: int) -> float:
    """One whole pass; log-softmax and sum in double precision."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([list(ids)])).logits[0].double().numpy()
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return float(sum(log_p[place - 1, ids[place]] for place in range(start, len(ids))))


@pytest.mark.parametrize(
    ("sequences", "starts"),
    [
        pytest.param([[*A, 1], [*A, 2], [*A, 3]], [7, 7, 7], id="one token each"),
        pytest.param([A + B, A + B[:2], [*A, 9]], [7, 7, 7], id="different lengths"),
        pytest.param([A + B[:1], A + B[:3], A + B], [7, 7, 7], id="one begins another"),
        pytest.param([A + B, A + B], [7, 7], id="the same twice"),
        pytest.param([A + B], [7], id="one alone"),
        pytest.param([A + B, A[:5] + B], [7, 6], id="parted before the start"),
        pytest.param([A, B], [3, 2], id="nothing shared"),
        pytest.param([A, A[:1] + B], [1, 1], id="from the second token on"),
    ],
)
@pytest.mark.parametrize("reuse", [True, False])
def test_sums_equal_whole_passes(
    smollm2: HfModel, sequences: list[list[int]], starts: list[int], reuse: bool
) -> None:
    model = smollm2._model
    expected = [reference(model, ids, start) for ids, start in zip(sequences, starts, strict=True)]
    found = option_log_likelihoods(model, sequences, starts, reuse=reuse)
    assert found == pytest.approx(expected, abs=1e-3)
    assert all(value < 0 for value in found)


def test_letters_need_the_prompt_alone(smollm2: HfModel) -> None:
    """Six tokens of the prompt, then its last: no row an option."""
    shapes: list[tuple[int, ...]] = []
    embed = smollm2._model.get_input_embeddings()
    handle = embed.register_forward_hook(lambda _m, given, _o: shapes.append(given[0].shape))
    try:
        option_log_likelihoods(smollm2._model, [[*A, 1], [*A, 2], [*A, 3]], [7, 7, 7])
    finally:
        handle.remove()
    assert [tuple(shape) for shape in shapes] == [(1, 6), (1, 1)]


@pytest.mark.parametrize(
    ("reuse", "tokens"),
    [
        # All but the last of the seven shared tokens once, then a batch of three rows of 1 + 5.
        (True, [(1, 6), (3, 6)]),
        (False, [(1, 12), (1, 9), (1, 8)]),
    ],
)
def test_the_prompt_is_computed_once(
    smollm2: HfModel, reuse: bool, tokens: list[tuple[int, int]]
) -> None:
    shapes: list[tuple[int, ...]] = []
    embed = smollm2._model.get_input_embeddings()
    handle = embed.register_forward_hook(lambda _m, given, _o: shapes.append(given[0].shape))
    try:
        option_log_likelihoods(smollm2._model, [A + B, A + B[2:4], [*A, 1]], [7, 7, 7], reuse=reuse)
    finally:
        handle.remove()
    assert [tuple(shape) for shape in shapes] == tokens


# By how much reuse may move a log-likelihood. float32: the order of additions. bfloat16: the
# layers round to 8 bits wherever the batch cuts the sums elsewhere (measured: up to 0.6).
TOLERANCE = {"float32": 1e-3, "bfloat16": 1.5}
WORDS = (
    "fever cough of the left heart E11.9 with acute renal failure, 0.5 mg insulin and ülcer".split()
)


@pytest.fixture(
    scope="module", params=[pytest.param("float32", marks=pytest.mark.slow), "bfloat16"]
)
def typed(request: pytest.FixtureRequest, smollm2: HfModel) -> HfModel:
    if request.param == smollm2.dtype:
        return smollm2
    entry = smollm2.spec.model_dump() | {"dtype": request.param}
    spec = ModelSpec.model_validate(entry)
    return HfModel(spec)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompt=st.lists(st.sampled_from(WORDS), min_size=1, max_size=60),
    options=st.lists(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
        min_size=2,
        max_size=5,
        unique=True,
    ),
)
def test_reuse_changes_nothing_beyond_the_tolerance(
    typed: HfModel, prompt: list[str], options: list[str]
) -> None:
    tolerance = TOLERANCE[typed.dtype]
    text = typed.render([Message("user", " ".join(prompt))])
    once = typed.score_options(text, options)
    every = typed.score_options(text, options, reuse=False)
    assert once.option_tokens == every.option_tokens
    assert once.log_likelihoods == pytest.approx(every.log_likelihoods, abs=tolerance)
    picks = [pick_option(found.log_likelihoods, options)[0] for found in (once, every)]
    if picks[0] != picks[1]:  # only where the two options are closer than the tolerance allows
        a, b = picks
        sums = every.log_likelihoods
        gap = abs(sums[a] / len(options[a]) - sums[b] / len(options[b]))
        assert gap <= tolerance / len(options[a]) + tolerance / len(options[b])
