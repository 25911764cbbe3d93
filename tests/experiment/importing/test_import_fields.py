"""What may become a name or a line."""

from __future__ import annotations

import pytest

from ragbench.base.errors import DataError
from ragbench.experiment.importing.import_fields import check_label, check_text


@pytest.mark.parametrize("name", ["gpt-35-turbo-16k", "medrag-32", "a.b_c", "9"])
def test_names_that_files_can_bear(name: str) -> None:
    assert check_label(name, "a model", "f:1") == name


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "a+b", "-x", "a..b", "x" * 101, "\x00"])
def test_names_that_they_cannot(name: str) -> None:
    with pytest.raises(DataError, match="cannot be the name of a model") as caught:
        check_label(name, "a model", "f:1")
    assert caught.value.where == "f:1"


def test_texts() -> None:
    assert check_text("naïve \U0001f489", "the reply", "f:1") == "naïve \U0001f489"
    with pytest.raises(DataError, match="the reply contains half of a surrogate pair"):
        check_text("a\ud800", "the reply", "f:1")
