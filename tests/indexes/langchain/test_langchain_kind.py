"""A recipe whose retriever is a function of the user's, through the command line and refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import index_digest, open_index
from ragbench.indexes.loading import load_recipe
from tests.conftest import ragbench

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
TEXTS = {"d0": "gout of the foot", "d1": "fever and cough", "d2": "fever and gout"}
MODULE = '''
from pathlib import Path
Path(__file__).with_suffix(".imported").touch()

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore


class Letters(Embeddings):
    """How often each letter of the alphabet stands in a text."""

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        return [float(text.count(c)) + 1e-3 for c in "abcdefghijklmnopqrstuvwxyz"]


def make(corpus, depth=2):
    store = InMemoryVectorStore(Letters())
    store.add_documents([Document(p.text, metadata={"id": p.id}) for p in corpus])
    return store.as_retriever(search_kwargs={"k": depth})


def other(corpus):
    return "no retriever"


def fails(corpus):
    raise RuntimeError("no server at that address")
'''


@pytest.fixture
def module(home: Path, corpus_of: CorpusOf) -> Iterator[str]:
    """A module of a name of its own in the home folder, beside the corpus ``small``."""
    corpus_of("small", TEXTS)
    name = f"mine_{abs(hash(str(home)))}"
    (home / f"{name}.py").write_text(MODULE, encoding="utf-8")
    paths = list(sys.path)
    yield name
    sys.path[:] = paths
    sys.modules.pop(name, None)


def write_recipe(home: Path, factory: str, **keys: object) -> None:
    (home / "indexes").mkdir(exist_ok=True)
    recipe = {"kind": "langchain", "factory": factory, "trust_code": True, **keys}
    (home / "indexes" / "mine.yaml").write_text(json.dumps(recipe), encoding="utf-8")


@pytest.mark.slow
def test_from_the_command_line(home: Path, module: str) -> None:
    write_recipe(home, f"{module}:make", options={"depth": 3})
    built = ragbench(home, "index", "build", "mine", "--corpus", "small")
    assert built.returncode == 0, built.stderr
    done = ragbench(home, "index", "search", "mine-small", "fever and gout", "-k", "2", "--json")
    hits = json.loads(done.stdout)
    assert hits[0]["id"] == "d2"
    assert [hit["score"] for hit in hits] == [1.0, 0.5]
    checked = ragbench(home, "index", "check", "mine-small", "--json")
    assert checked.returncode == 0, checked.stderr


def test_code_runs_only_where_the_recipe_trusts_it(home: Path, module: str) -> None:
    for keys in ({"trust_code": False}, {"trust_code": None}):
        write_recipe(home, f"{module}:make", **keys)
        with pytest.raises(UsageError):
            build_index("mine", "small")
    write_recipe(home, f"{module}:make", trust_code=False)
    with pytest.raises(UsageError, match="imports and runs the code of") as caught:
        build_index("mine", "small")
    assert "trust_code: true" in caught.value.what
    assert "mine.yaml:1" in caught.value.where
    assert not (home / f"{module}.imported").exists()


def test_the_digest_follows_factory_options_and_source(home: Path, module: str) -> None:
    (home / "corpora").mkdir(exist_ok=True)
    write_recipe(home, f"{module}:make")
    build_index("mine", "small")
    corpus = open_index("mine-small").corpus
    digests = {index_digest(load_recipe("mine"), corpus)}
    write_recipe(home, f"{module}:make", options={"depth": 3})
    digests.add(index_digest(load_recipe("mine"), corpus))
    write_recipe(home, f"{module}:other")
    digests.add(index_digest(load_recipe("mine"), corpus))
    write_recipe(home, f"{module}:make")
    with (home / f"{module}.py").open("a") as source:
        source.write("# changed\n")
    digests.add(index_digest(load_recipe("mine"), corpus))
    assert len(digests) == 4
    with pytest.raises(DataError):
        open_index("mine-small")


@pytest.mark.parametrize(
    ("factory", "what"),
    [
        ("{}:nothing", "has no attribute 'nothing'"),
        ("{}:other", "it returned a str, not a BaseRetriever"),
        ("{}:fails", "RuntimeError: no server at that address"),
        ("no_such_module_here:make", "no file of a module"),
        ("no_such.module:make", "No module named 'no_such'"),
        ("sys:exit", "no file of a module 'sys'"),
        ("just_a_name", "takes a text of the form"),
        ("a;b:c", "takes a text of the form"),
    ],
)
def test_a_factory_that_is_none_is_a_usage_error(
    home: Path, module: str, factory: str, what: str
) -> None:
    write_recipe(home, factory.format(module))
    with pytest.raises(UsageError, match=what):
        build_index("mine", "small")
    assert not (home / "indexes" / "mine-small").exists()


def test_options_that_the_function_does_not_take_are_a_usage_error(home: Path, module: str) -> None:
    write_recipe(home, f"{module}:make", options={"colour": 3})
    with pytest.raises(UsageError, match=r"TypeError: .*'colour'"):
        build_index("mine", "small")
