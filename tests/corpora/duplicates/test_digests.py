"""Earlier texts against a dictionary of the texts themselves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragbench.corpora.duplicates.digests import Digests


def firsts_of(texts: list[str]) -> list[int]:
    seen: dict[str, int] = {}
    return [seen.setdefault(text, number) for number, text in enumerate(texts)]


@given(st.lists(st.text(alphabet="ab\0é", max_size=2)), st.integers(1, 7))
def test_the_first_of_equal_texts_is_told(texts: list[str], size: int) -> None:
    digests = Digests()
    blocks = [texts[i : i + size] for i in range(0, len(texts), size)]
    found = [int(first) for block in blocks for first in digests.add(block)]
    assert found == firsts_of(texts)


def test_the_table_grows() -> None:
    texts = [str(i * i % 40_009) for i in range(60_000)]
    digests = Digests()
    found = [
        int(first) for i in range(0, 60_000, 5000) for first in digests.add(texts[i : i + 5000])
    ]
    assert found == firsts_of(texts)
    assert digests.add([]).size == 0
