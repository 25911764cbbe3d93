"""A kind of index from another package: one file and one entry point, used by every command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.cli.main import cli
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.retrieve import retrieve_all
from ragbench.indexes import retrievers
from ragbench.indexes.loading import load_recipe
from ragbench.runfolder.paths import RunPaths
from tests.conftest import FACTS, make_mixed_home

KIND = '''
"""Passages by the number of words that they share with the query."""

import json

import numpy as np

from ragbench.indexes.recipe import Footprint, Recipe
from ragbench.indexes.retriever import passage_text, top_hits


class SharedRecipe(Recipe):
    """A word counts from this length on."""

    min_length: int = 1

    def words(self, text):
        return {word for word in text.lower().split() if len(word) >= self.min_length}

    def estimate(self, name, corpus, *, measure, device):
        return Footprint(name, "shared words", float(corpus.manifest.n_characters))


class SharedIndex:
    """An open index of shared words."""

    Options = SharedRecipe
    metric = "shared words"

    def __init__(self, words, recipe, corpus):
        self.words, self.recipe, self.corpus = words, recipe, corpus

    @classmethod
    def build(cls, recipe, corpus, work, device):
        texts = (passage_text("{title} {text}", p.title, p.text) for p in corpus)
        words = [sorted(recipe.words(text)) for text in texts]
        (work / "words.json").write_text(json.dumps(words), encoding="utf-8")
        return {"n_words": sum(map(len, words))}

    @classmethod
    def open(cls, folder, recipe, facts, corpus, device):
        words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        return cls([set(some) for some in words], recipe, corpus)

    def search(self, queries, k):
        asked = [self.recipe.words(query) for query in queries]

        def ask(some, size):
            scores = np.array([[len(asked[q] & words) for words in self.words] for q in some])
            rows = np.argsort(-scores, axis=1, kind="stable")[:, :size]
            return np.take_along_axis(scores, rows, axis=1).astype(np.float32), rows

        return top_hits(self.corpus, len(queries), k, ask, floor=0)
'''
ENTRY = "[ragbench.retrievers]\nshared = shared_words:SharedIndex\n"


@pytest.fixture
def outside(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of twelve facts, and an installed package with the kind ``shared``."""
    about = tmp_path / "site" / "shared_words-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shared-words\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY)
    (tmp_path / "site" / "shared_words.py").write_text(KIND)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(retrievers, "_table", dict(retrievers._table))
    monkeypatch.setattr(retrievers, "_outside_loaded", False)
    make_mixed_home(home)
    (home / "indexes").mkdir()
    (home / "indexes" / "shared.yaml").write_text("kind: shared\nmin_length: 3\n")
    both = {"kind": "hybrid", "parts": ["shared", "bm25"]}
    (home / "indexes" / "both.yaml").write_text(json.dumps(both))
    ragbench("corpus", "build", "facts")
    return home


def ragbench(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def by_hand(query: str, k: int) -> list[str]:
    """Ids of the facts by shared words of three letters or more, ties by id."""

    def words(text: str) -> set[str]:
        return {word for word in text.lower().split() if len(word) > 2}

    shared = {f"d-{n}": len(words(query) & words(f"{n} is {t}.")) for n, t in FACTS.items()}
    return sorted((i for i in shared if shared[i]), key=lambda i: (-shared[i], i))[:k]


def test_the_kind_is_short() -> None:
    assert len(KIND.strip().splitlines()) < 60


def test_every_command_takes_it(outside: Path) -> None:
    estimates = json.loads(ragbench("index", "estimate", "shared", "--corpus", "facts", "--json"))
    size = sum(len(f"{name} is {text}.") for name, text in FACTS.items())
    assert [(one["name"], one["what"], one["disk"]) for one in estimates] == [
        ("shared", "shared words", size)
    ]
    assert "shared-facts: 12 passages" in ragbench("index", "build", "shared", "--corpus", "facts")
    for query in ("a lack of vitamin in children", "fever", "zzzz"):
        hits = json.loads(ragbench("index", "search", "shared-facts", query, "-k", "4", "--json"))
        assert [hit["id"] for hit in hits] == by_hand(query, 4)
    checked = json.loads(ragbench("index", "check", "shared-facts", "--json"))
    assert all(finding["is_ok"] for finding in checked["findings"])
    assert load_recipe("shared").hub_models() == {}


def test_it_is_a_part_of_a_hybrid(outside: Path) -> None:
    built = ragbench("index", "build", "both", "--corpus", "facts")
    assert built.endswith(", searches shared-facts, bm25-facts\n")
    manifest = json.loads(ragbench("index", "show", "both-facts", "--json"))
    assert [part["name"] for part in manifest["parts"]] == ["shared-facts", "bm25-facts"]
    checked = json.loads(ragbench("index", "check", "both-facts", "--json"))
    assert "shared-facts: digest" in {finding["what"] for finding in checked["findings"]}


def test_a_run_searches_it(outside: Path) -> None:
    arms = [
        "indexes={shared: {recipe: shared}, both: {recipe: both}}",
        "arms=[closed-book, {retriever: shared, k: 2}, {retriever: both, k: 2}]",
        "tasks=[{name: facts, task: mcq, options: {path: facts.jsonl, corpus: facts}}]",
    ]
    grid = Grid(*load_config(str(outside / "mixed.yaml"), arms))
    assert "ragbench index build shared --corpus facts" in grid.missing()
    folder = RunPaths(outside / "runs" / "other")
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    ranked: dict[str, list[str]] = {}
    for line in folder.retrieval("facts", "shared", "trec").read_text().splitlines():
        query, _, passage, *_ = line.split()
        ranked.setdefault(query, []).append(passage)
    (task,) = grid.tasks
    assert ranked == {q.id: by_hand(q.query, 2) for q in task.questions}
    assert folder.retrieval("facts", "both", "trec").read_text()
