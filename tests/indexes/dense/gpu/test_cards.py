"""The GPUs that FAISS can use, where there is none and where there is one."""

from __future__ import annotations

import faiss
import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.indexes.dense.gpu import cards
from tests.indexes.dense.gpu.cases import NO_GPU


def test_the_share_of_an_index_must_fit_onto_every_card() -> None:
    """Two cards of 80 and 24 GB: 0.9 of what 2 GiB of buffers leave of the smaller is 19.67 GB."""
    free = [80_000_000_000, 24_000_000_000]
    assert cards.fits(19.66e9, free)
    assert not cards.fits(19.68e9, free)
    assert cards.fits(60e9, free[:1])
    assert not cards.fits(1, [1 << 30])


@pytest.mark.skipif(not NO_GPU, reason="this machine has a GPU that FAISS can use")
def test_a_machine_without_a_gpu() -> None:
    assert not cards.is_wanted(faiss, "auto", "Flat")
    assert not cards.is_wanted(faiss, "cpu", "Flat")
    with pytest.raises(PrerequisiteError, match="no GPU support, or sees no GPU"):
        cards.require(faiss)
    with pytest.raises(PrerequisiteError):
        cards.is_wanted(faiss, "cuda", "Flat")
