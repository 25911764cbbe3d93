"""Keys of the backend ``hf``."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ragbench.models.local.options import HfOptions
from ragbench.models.scripted import ScriptedOptions
from ragbench.models.spec import Weights


@pytest.mark.parametrize("keys", [{}, {"path": "a", "model": "owner/a"}, {"revision": "main"}])
def test_weights_are_in_one_place(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="give one of `path`"):
        HfOptions.model_validate(keys)


def test_an_adapter_without_weights_has_those_of_its_base() -> None:
    base = HfOptions(model="owner/base", revision="v1")
    found = HfOptions(adapter="lora", dtype="float32").with_weights_of(base)
    assert found.weights == Weights("owner/base", "lora")
    assert (found.revision, found.dtype) == ("v1", "float32")
    own = HfOptions(path="own", adapter="lora")
    assert own.with_weights_of(base) is own
    lost = HfOptions(adapter="lora")
    assert lost.with_weights_of(ScriptedOptions()) is lost


def test_the_context_is_the_one_stated() -> None:
    assert HfOptions(path="a").stated_context is None
    assert HfOptions(path="a", context=512).stated_context == 512
    with pytest.raises(ValidationError, match="greater than 0"):
        HfOptions(path="a", context=0)
