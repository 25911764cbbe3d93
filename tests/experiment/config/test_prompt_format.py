"""``prompt_format``: who is asked in which form, and against whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.config.prompt_format import in_formats
from ragbench.models.local.options import HfOptions
from ragbench.models.spec import ModelSpec

GENERAL = ModelSpec(name="g", options=HfOptions(path="g"))
BIO = ModelSpec(name="b", kind="biomedical", base="g", options=HfOptions(path="b"))


def named(models: tuple[ModelSpec, ...]) -> list[tuple[str, str, str | None]]:
    return [(m.name, m.format, m.base) for m in models]


def test_auto_leaves_all_as_it_is() -> None:
    assert in_formats((GENERAL, BIO), "auto") == (GENERAL, BIO)


def test_one_form_is_for_all_that_do_not_say() -> None:
    chat = ModelSpec(name="c", format="chat", options=HfOptions(path="c"))
    assert named(in_formats((GENERAL, chat), "plain")) == [
        ("g", "plain", None),
        ("c", "chat", None),
    ]


def test_both_compares_each_form_with_the_base_in_that_form() -> None:
    assert named(in_formats((GENERAL, BIO), "both")) == [
        ("g-chat", "chat", None),
        ("g-plain", "plain", None),
        ("b-chat", "chat", "g-chat"),
        ("b-plain", "plain", "g-plain"),
    ]


def test_a_model_of_one_form_is_compared_with_its_base_in_that_form() -> None:
    only = BIO.model_copy(update={"format": "plain"})
    assert ("b", "plain", "g-plain") in named(in_formats((GENERAL, only), "both"))
    fixed = GENERAL.model_copy(update={"format": "chat"})
    assert ("b-plain", "plain", "g") in named(in_formats((fixed, BIO), "both"))


def test_the_reference_tokenizer_follows(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    text = "name: c\nprompt_format: both\nmodels: [{name: g, path: g}]\ntasks: [hpo]\n"
    path.write_text(text + "arms: [closed-book]\npacking: {tokenizer: g}\n", encoding="utf-8")
    config, _ = load_config(str(path))
    assert config.packing.tokenizer == "g-chat"
    assert config.reference_model().name == "g-chat"


def test_two_forms_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    models = "[{name: g, path: g}, {name: g-chat, path: h, format: chat}]"
    path.write_text(
        f"name: c\nprompt_format: both\nmodels: {models}\ntasks: [hpo]\narms: [closed-book]\n",
        encoding="utf-8",
    )
    with pytest.raises(UsageError, match="two models have the name 'g-chat'"):
        load_config(str(path))
