"""Indexes that search others: what opening one asks of its parts, and how each fault is mended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import MANIFEST, folder_of, is_built, open_index, read_manifest
from ragbench.indexes.check import check_index

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
TEXTS = {"a": "gout of the foot", "b": "fever", "c": "fever and gout", "d": "gout, gout, fever"}
INLINE = {"kind": "bm25", "k1": 2.0}


def write(home: Path, name: str, **keys: object) -> None:
    (home / "indexes").mkdir(exist_ok=True)
    (home / "indexes" / f"{name}.yaml").write_text(json.dumps(keys), encoding="utf-8")


@pytest.fixture
def both(home: Path, corpus_of: CorpusOf) -> Path:
    """The index ``both-small`` of a named and an inline part, which are built with it."""
    corpus_of("small", TEXTS)
    write(home, "lexical", kind="bm25")
    write(home, "both", kind="hybrid", parts=["lexical", INLINE])
    build_index("both", "small")
    return home


def inline_name() -> str:
    return read_manifest("both-small").parts[1].name


def stamp(name: str) -> int:
    return (folder_of(name) / MANIFEST).stat().st_mtime_ns


def test_parts_are_built_once_and_shared(both: Path) -> None:
    names = {"both-small", "lexical-small", inline_name()}
    assert {p.parent.name for p in (both / "indexes").glob(f"*/{MANIFEST}")} == names
    assert len(list((both / "indexes").rglob("scores.f32"))) == 2
    before = {name: stamp(name) for name in names}
    build_index("lexical", "small")
    write(both, "third", kind="hybrid", parts=[INLINE, "lexical"], depth=9)
    build_index("third", "small")
    build_index("both", "small")
    assert {name: stamp(name) for name in names} == before
    assert len(list((both / "indexes").rglob("scores.f32"))) == 2


def test_a_part_that_was_removed_is_named_and_built_again(both: Path) -> None:
    hits = open_index("both-small").search(["gout"], 3)
    for name in ("lexical-small", inline_name()):
        shutil.rmtree(folder_of(name))
        with pytest.raises(DataError, match=f"'{name}', a part of 'both-small', is not") as caught:
            open_index("both-small")
        assert "ragbench index build both --corpus small" in caught.value.fix
        wrong = [one for one in check_index("both-small") if not one.is_ok]
        assert [one.what for one in wrong] == ["opens over its corpus and encoder"]
        build_index("both", "small")
        assert open_index("both-small").search(["gout"], 3) == hits


def test_a_part_of_another_digest_is_refused(both: Path) -> None:
    write(both, "lexical", kind="bm25", k1=1.5)
    with pytest.raises(DataError, match="built already, from another recipe"):
        build_index("both", "small")
    build_index("lexical", "small", replace=True)
    with pytest.raises(DataError, match="'lexical-small' is not the one that 'both-small'") as it:
        open_index("both-small")
    assert "ragbench index build both --corpus small --replace" in it.value.fix
    inline = stamp(inline_name())
    build_index("both", "small", replace=True)
    assert open_index("both-small").search(["gout"], 3)[0]
    assert stamp(inline_name()) == inline


def test_replace_replaces_a_part_of_another_recipe(both: Path) -> None:
    write(both, "lexical", kind="bm25", k1=1.5)
    build_index("both", "small", replace=True)
    assert read_manifest("lexical-small").recipe["k1"] == 1.5
    assert open_index("both-small").search(["gout"], 3)[0]


def test_replace_mends_a_damaged_part(both: Path) -> None:
    path = folder_of(inline_name()) / "scores.f32"
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(DataError, match="is damaged"):
        open_index("both-small")
    wrong = {one.what for one in check_index("both-small") if not one.is_ok}
    assert f"{inline_name()}: files" in wrong
    build_index("both", "small", replace=True)
    assert path.read_bytes() == whole
    assert all(one.is_ok for one in check_index("both-small"))


def test_two_indexes_of_one_name_are_refused(both: Path) -> None:
    with pytest.raises(UsageError, match="would have the name 'lexical-small'"):
        build_index("both", "small", name="lexical-small", replace=True)
    write(both, "clash", kind="hybrid", parts=["lexical", {"name": "lexical", **INLINE}])
    with pytest.raises(UsageError, match="would have the name 'lexical-small'"):
        build_index("clash", "small", replace=True)
    assert read_manifest("lexical-small").recipe["k1"] == 0.9


def test_a_recipe_that_now_names_its_parts_otherwise_is_built_again(both: Path) -> None:
    digest = read_manifest("both-small").digest
    write(both, "both", kind="hybrid", parts=["lexical", {"name": "sharp", **INLINE}])
    made = build_index("both", "small")
    assert made.digest == digest
    assert [part.name for part in made.parts] == ["lexical-small", "sharp-small"]
    assert is_built("sharp-small")


@pytest.mark.slow
def test_a_part_that_is_killed_resumes_as_its_own_build(home: Path, corpus_of: CorpusOf) -> None:
    corpus_of("many", {f"d{n}": f"fever {n} gout {n % 7}" for n in range(6000)})
    write(home, "both", kind="hybrid", parts=["bm25", INLINE])
    script = (
        "import time\n"
        "from ragbench.indexes.bm25 import inversion\n"
        "inversion.RUN_BYTES = 20_000\n"
        "real = inversion._invert\n"
        "inversion._invert = lambda *a: (time.sleep(0.05), real(*a))[1]\n"
        "from ragbench.indexes.build import build_index\n"
        "build_index('both', 'many')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ})
    folders = home / "indexes"
    try:
        while not list(folders.glob(".bm25-many.*.building/runs/*")):
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not is_built("bm25-many")
    assert list(folders.glob(".both-many.*.building"))
    build_index("bm25", "many")  # what was left is of use to the part alone
    whole = stamp("bm25-many")
    build_index("both", "many")
    assert stamp("bm25-many") == whole
    assert not list(folders.glob(".*.building"))
    assert all(one.is_ok for one in check_index("both-many"))
