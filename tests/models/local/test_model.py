"""What backends with weights on this machine share: keys, and prompts with options as tokens."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ragbench.models.local.hf import HfModel
from ragbench.models.local.model import LocalOptions, Tokens


@pytest.mark.parametrize("keys", [{}, {"path": "a", "model": "b/c"}])
def test_weights_have_one_source(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="give one of `path`"):
        LocalOptions.model_validate(keys)


def test_options_start_where_the_prompt_ends(plain: HfModel) -> None:
    tokenizer = plain._tokenizer
    tokens = plain.tokenise("Which? Answer:", ("iron", "vitamin C"))
    assert list(tokens.alone) == tokenizer("Which? Answer:").input_ids
    assert tokens.start == len(tokens.alone)
    assert [tokenizer.decode(ids[tokens.start :]) for ids in tokens.sequences] == [
        " iron",
        " vitamin C",
    ]


def test_scores_have_the_tokens_of_each_option() -> None:
    scores = Tokens([1, 2, 3], [[1, 2, 3, 4], [1, 2, 3, 5, 6]], 3).scored([-1.0, -2.0], 0.5)
    assert (scores.log_likelihoods, scores.option_tokens) == ((-1.0, -2.0), (1, 2))
    assert (scores.prompt_tokens, scores.elapsed_s) == (3, 0.5)
