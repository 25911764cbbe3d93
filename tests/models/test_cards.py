"""The cards hold what the field compares, and a config takes them in."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.base.yamlfile import load
from ragbench.models.cards import cards, join_cards
from ragbench.models.spec import ModelSpec

# The pairs of Dorfner et al. 2024 and of CLUE, by hub id.
PAIRS = """\
aaditya/Llama3-OpenBioLLM-8B,meta-llama/Meta-Llama-3-8B-Instruct
aaditya/Llama3-OpenBioLLM-70B,meta-llama/Meta-Llama-3-70B-Instruct
BioMistral/BioMistral-7B,mistralai/Mistral-7B-Instruct-v0.1
BioMistral/BioMistral-7B-DARE,mistralai/Mistral-7B-Instruct-v0.1
internistai/base-7b-v0.2,mistralai/Mistral-7B-v0.1
johnsnowlabs/JSL-Med-Sft-Llama-3-8B,meta-llama/Meta-Llama-3-8B-Instruct
johnsnowlabs/JSL-MedLlama-3-8B-v1.0,meta-llama/Meta-Llama-3-8B-Instruct
johnsnowlabs/JSL-MedLlama-3-8B-v2.0,meta-llama/Meta-Llama-3-8B-Instruct
HPAI-BSC/Llama3-Aloe-8B-Alpha,meta-llama/Meta-Llama-3-8B-Instruct
epfl-llm/meditron-7b,meta-llama/Llama-2-7b-hf
epfl-llm/meditron-70b,meta-llama/Llama-2-70b-hf
wanglab/ClinicalCamel-70B,meta-llama/Llama-2-70b-hf
"""


def test_the_pairs_of_the_paper_and_of_clue_are_there() -> None:
    found = {(c.model, cards()[c.base].model) for c in cards().values() if c.base is not None}
    assert {tuple(row) for row in csv.reader(PAIRS.splitlines())} <= found


def test_every_card_makes_a_model_and_every_base_is_a_general_card() -> None:
    assert len({card.reference for card in cards().values()}) == len(cards())
    for name, card in cards().items():
        keys = {k: getattr(card, k) for k in ("model", "path", "adapter", "kind", "base")}
        assert ModelSpec(name=name, **keys).name == name
        if card.base is not None:
            assert cards()[card.base].kind == "general"


def joined(folder: Path, models: str) -> list[Any]:
    path = folder / "c.yaml"
    path.write_text(f"name: c\nmodels: {models}\n", encoding="utf-8")
    document = load(path)
    join_cards(document)
    found = document.value["models"]
    assert isinstance(found, list)
    return found


def test_a_base_joins_with_the_format_of_its_partner(tmp_path: Path) -> None:
    bio, base = joined(tmp_path, "[{card: openbiollm-8b, dtype: float32, name: ob}]")
    assert (bio["name"], bio["base"], bio["dtype"]) == ("ob", "llama-3-8b-instruct", "float32")
    assert (base["name"], base["dtype"]) == ("llama-3-8b-instruct", "float32")
    assert base["model"] == "meta-llama/Meta-Llama-3-8B-Instruct"


@pytest.mark.parametrize(
    ("models", "names", "base"),
    [
        ("[card:llama-3-8b-instruct, card:openbiollm-8b]", 2, "llama-3-8b-instruct"),
        ("[card:openbiollm-8b, card:med42-v2-8b]", 3, "llama-3-8b-instruct"),
        ("[{card: llama-3-8b-instruct, name: mine}, card:openbiollm-8b]", 2, "mine"),
        (
            "[{name: mine, model: meta-llama/Meta-Llama-3-8B-Instruct}, card:openbiollm-8b]",
            2,
            "mine",
        ),
        (
            "[card:smollm2-135m, {card: openbiollm-8b, base: smollm2-135m}]",
            2,
            "smollm2-135m",
        ),
    ],
)
def test_a_base_joins_once_and_under_its_own_name(
    tmp_path: Path, models: str, names: int, base: str
) -> None:
    found = joined(tmp_path, models)
    assert len(found) == names
    assert {member["base"] for member in found if member.get("base")} == {base}


def test_an_unknown_card_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        joined(tmp_path, "[card:openbiolm-8b]")
    assert "there is no model card 'openbiolm-8b'" in caught.value.what
    assert str(caught.value.where).endswith("c.yaml:2 (models.0)")
    assert "openbiollm-8b" in str(caught.value.fix)
