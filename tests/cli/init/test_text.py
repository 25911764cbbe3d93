"""The YAML of a config: values that YAML would misread are in quotes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ragbench.cli.init.text import demo_text, scalar


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=20))
def test_every_text_is_read_back(text: str) -> None:
    assert yaml.safe_load(f"[{scalar(text)}, {{a: {scalar(text)}}}]") == [text, {"a": text}]


@pytest.mark.parametrize(
    "value", ["yes", "No", "1e3", "a: b", "- x", "#", "", "2026-01-01", 3, 0.5]
)
def test_values_that_yaml_could_misread(value: Any) -> None:
    assert yaml.safe_load(scalar({"k": [value]})) == {"k": [value]}


def test_the_demonstration_has_the_name_that_is_given() -> None:
    assert yaml.safe_load(demo_text("yes"))["name"] == "yes"
