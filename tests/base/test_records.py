"""Records: values that cannot change under the reader's feet."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest

from ragbench.base.records import (
    Hit,
    Message,
    OptionScores,
    Passage,
    Query,
    Question,
    coarse_grid,
    coarse_remark,
    small_share,
)

RECORDS = [
    Passage("d1", "d1", "Fever", "Fever is a raised body temperature."),
    Hit("d1", "d1", 0, 1.5),
    Query("q1", "fever"),
    Question("q1", "What is fever?", ("hot", "cold"), 0, "fever"),
    Message("user", "What is fever?"),
    OptionScores((-1.0, -2.5), (1, 3), 12, 0.25),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: type(r).__name__)
def test_records_are_frozen_slotted_values(record: object) -> None:
    names = record._fields if isinstance(record, Hit) else [f.name for f in fields(record)]  # type: ignore[arg-type]
    with pytest.raises(AttributeError):  # FrozenInstanceError is one
        setattr(record, names[0], "other")
    assert not hasattr(record, "__dict__")
    assert type(record)(**{name: getattr(record, name) for name in names}) == record


def test_passages_do_not_share_their_meta() -> None:
    first, second = Passage("a", "a", "", "x"), Passage("b", "b", "", "y")
    first.meta["chapter"] = "1"
    assert second.meta == {}


def test_a_question_stands_alone_unless_told() -> None:
    question = Question("q1", "What is fever?", ("hot", "cold"), 0, "fever")
    assert asdict(question) == {
        "id": "q1",
        "text": "What is fever?",
        "options": ("hot", "cold"),
        "answer": 0,
        "query": "fever",
        "gold_doc_ids": (),
        "stratum": "",
        "cluster": None,
        "reference": "",
        "documents": (),
        "gold_spans": (),
    }


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0034, "0.34 %"), (0.009, "0.9 %"), (1e-4, "0.01 %"), (9e-5, "less than 0.01 %")],
)
def test_small_shares(share: float, said: str) -> None:
    assert small_share(share) == said


@pytest.mark.parametrize(
    ("dtype", "low", "high", "expected"),
    [
        ("bfloat16", 16, 31, 8),
        ("bfloat16", 8, 15, 16),
        ("bfloat16", 4, 7, 32),
        ("bfloat16", 10, 25, 16),  # on both sides of 16
        ("float16", 16, 31, None),  # sixty-fourths
        ("float32", 16, 31, None),
    ],
)
def test_logits_that_torch_rounds_are_seen_behind_the_softmax(
    dtype: str, low: float, high: float, expected: int | None
) -> None:
    """Of 40 questions with four letters, in a vocabulary of 500; with four decimals too."""
    import torch

    torch.manual_seed(3)
    logits = (low + (high - low) * torch.rand(40, 500)).to(getattr(torch, dtype))
    found = torch.log_softmax(logits.float(), dim=-1)[:, :4].tolist()
    assert coarse_grid(found) == expected
    assert coarse_grid([[round(value, 4) for value in each] for each in found]) == expected
    if expected is not None:
        assert f"multiples of 1/{expected}" in coarse_remark(expected)


def test_a_grid_needs_several_differences_that_are_not_whole() -> None:
    assert coarse_grid([]) is None
    assert coarse_grid([[-1.0, -1.0], [-2.5, -2.5]]) is None  # ties alone
    assert coarse_grid([[-1.125, -2.5]] * 2) is None
    assert coarse_grid([[-1.125, -2.5]] * 3) == 8
    assert coarse_grid([[-1.3, -2.3, -5.3]] * 9) is None
