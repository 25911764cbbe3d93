"""The GPUs that FAISS can use, where there is none and where there is one."""

from __future__ import annotations

import faiss
import pytest

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.indexes.dense.gpu import cards
from tests.indexes.dense.gpu.cases import NO_GPU


def test_more_hits_than_a_gpu_gives_are_refused() -> None:
    cards.check_k(2048, 9999)
    cards.check_k(5000, 2000)  # all there are
    with pytest.raises(UsageError, match=r"2,049 hits are wanted, .* at most 2,048") as caught:
        cards.check_k(2049, 9999)
    assert "--device cpu" in caught.value.fix


@pytest.mark.skipif(not NO_GPU, reason="this machine has a GPU that FAISS can use")
def test_a_machine_without_a_gpu() -> None:
    assert not cards.is_wanted(faiss, "auto", "Flat")
    assert not cards.is_wanted(faiss, "cpu", "Flat")
    with pytest.raises(PrerequisiteError, match="no GPU support, or sees no GPU"):
        cards.require(faiss)
    with pytest.raises(PrerequisiteError):
        cards.is_wanted(faiss, "cuda", "Flat")
