"""Inversion in runs: the same index however the corpus is cut, also after a kill."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.progress import Progress
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.bm25 import inversion
from ragbench.indexes.bm25.index import Bm25Index
from ragbench.indexes.bm25.recipe import Bm25Recipe
from ragbench.indexes.bm25.tokenise import Analyser
from ragbench.indexes.build import build_index
from ragbench.indexes.check import check_index
from ragbench.indexes.retriever import passage_text

CorpusOf = Callable[[str, Mapping[str, str]], Corpus]
WORDS = "gout fever rash cough E11.9 diabetes mellitus Sjögren the of and pain".split()
RECIPE = Bm25Recipe(kind="bm25")


def many(n: int) -> dict[str, str]:
    draw = np.random.default_rng(3)
    return {f"d{i:05d}": " ".join(draw.choice(WORDS, draw.integers(1, 30))) for i in range(n)}


def digest(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def build(corpus: Corpus, work: Path) -> dict[str, str]:
    work.mkdir(exist_ok=True)
    Bm25Index.build(RECIPE, corpus, work, "cpu")
    return digest(work)


def test_many_small_runs_give_the_index_of_one(
    home: Path, corpus_of: CorpusOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = corpus_of("many", many(9000))
    whole = build(corpus, tmp_path / "whole")
    assert set(whole) == {"terms.bin", "terms.npy", "indptr.npy", "rows.i32", "scores.f32"}
    monkeypatch.setattr(inversion, "RUN_BYTES", 20_000)
    monkeypatch.setattr(inversion, "MERGED_AT_ONCE", 500)
    progress = Progress("", None)
    runs = inversion.invert(corpus, "{text}", Analyser(), tmp_path / "runs", progress)
    assert len(runs) > 20
    assert progress.done == 9000
    assert build(corpus, tmp_path / "cut") == whole


def test_terms_are_numbered_by_their_bytes_over_groups_of_runs(
    home: Path, corpus_of: CorpusOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs without a term, and more runs than are looked at together."""
    texts = ["rash Zoster", "?!", "zoster gout", "", "énorme gout 9", "gout", "!", "rash"]
    corpus = corpus_of("words", {f"d{i}": text or "-" for i, text in enumerate(texts)})
    monkeypatch.setattr(inversion, "RUN_BYTES", 1)
    monkeypatch.setattr(inversion, "RUNS_AT_ONCE", 3)
    runs = inversion.invert(corpus, "{text}", Analyser(), tmp_path, Progress("", None))
    terms = inversion.merge_terms(runs)
    assert terms.to_pylist() == ["9", "gout", "rash", "zoster", "énorme"]
    inversion.number_terms(runs, terms)
    numbers = [run.array(inversion.NUMBERS).tolist() for run in runs]
    assert numbers == [[2, 3], [], [1, 3], [], [0, 1, 4], [1], [], [2]]


def test_a_killed_build_goes_on_and_ends_the_same(
    home: Path, corpus_of: CorpusOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = corpus_of("many", many(9000))
    whole = build(corpus, tmp_path / "whole")
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from ragbench.corpora.open import open_corpus\n"
        "from ragbench.indexes.bm25 import inversion\n"
        "from ragbench.indexes.bm25.index import Bm25Index\n"
        "from ragbench.indexes.bm25.recipe import Bm25Recipe\n"
        "inversion.RUN_BYTES = 20_000\n"
        "real = inversion._invert\n"
        "inversion._invert = lambda *a: (time.sleep(0.05), real(*a))\n"
        "work = Path(sys.argv[1]); work.mkdir()\n"
        "Bm25Index.build(Bm25Recipe(kind='bm25'), open_corpus('many'), work, 'cpu')\n"
    )
    work = tmp_path / "killed"
    command = [sys.executable, "-c", script, str(work)]
    process = subprocess.Popen(command, env={**os.environ, "RAGBENCH_HOME": str(home)})
    deadline = time.monotonic() + 600
    while len(list(work.glob("runs/[0-9]*"))) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {p.name: p.stat().st_mtime_ns for p in work.glob("runs/[0-9]*")}
    assert not (work / "indptr.npy").exists()
    monkeypatch.setattr(inversion, "RUN_BYTES", 20_000)
    progress = Progress("", None)
    analyser = RECIPE.analyser()
    inversion.invert(corpus, RECIPE.template, analyser, work / "runs", progress)
    kept = {p.name: p.stat().st_mtime_ns for p in work.glob("runs/[0-9]*")}
    assert done.items() <= kept.items()
    Bm25Index.build(RECIPE, corpus, work, "cpu")
    assert digest(work) == whole


@pytest.mark.parametrize(
    ("file", "at", "value"),
    [
        ("rows.i32", 0, -1),
        ("rows.i32", 0, 9000),
        ("bounds.npy", -8, 1 << 40),
        ("bounds.npy", -16, -1),
        ("term_bounds.npy", -16, 1 << 40),
        ("terms.bin", 0, 0xFFFFFFFF),
    ],
)
def test_a_damaged_part_of_a_killed_build_is_made_again(
    home: Path, corpus_of: CorpusOf, tmp_path: Path, file: str, at: int, value: int
) -> None:
    corpus = corpus_of("many", many(50))
    whole = build(corpus, tmp_path / "whole")
    work, analyser = tmp_path / "killed", RECIPE.analyser()
    (run,) = inversion.invert(corpus, RECIPE.template, analyser, work / "runs", Progress("", None))
    path = run.folder / file
    data = bytearray(path.read_bytes())
    size = 8 if file.endswith("npy") else 4
    start = at % len(data)
    data[start : start + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    path.write_bytes(data)
    Bm25Index.build(RECIPE, corpus, work, "cpu")
    assert digest(work) == whole


def test_a_build_that_is_killed_while_it_merges_ends_with_the_same_files(
    home: Path, corpus_of: CorpusOf
) -> None:
    corpus_of("many", many(9000))
    whole = build_index("bm25", "many", name="whole")
    script = (
        "import time\n"
        "from ragbench.indexes.bm25 import inversion, kernels\n"
        "from ragbench.indexes.build import build_index\n"
        "inversion.MERGED_AT_ONCE = 20_000\n"
        "real = kernels.place_postings\n"
        "kernels.place_postings = lambda *a: (real(*a), time.sleep(0.1))\n"
        "build_index('bm25', 'many', name='killed')\n"
    )
    environment = {**os.environ, "RAGBENCH_HOME": str(home)}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    deadline = time.monotonic() + 600
    while not list(home.glob("indexes/.killed.*.building/.rows.i32.*.tmp")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = build_index("bm25", "many", name="killed")
    assert killed.sums == whole.sums
    assert killed.size_bytes == whole.size_bytes
    assert [f.value for f in check_index("killed") if not f.is_ok] == []


@given(
    template=st.sampled_from(["{text}", "{title}\n{text}", "a {title} b {text} c", "{title}", "x"]),
    titles=st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=4),
)
def test_the_template_is_filled_as_for_one_passage(template: str, titles: list[str]) -> None:
    texts = [title * 2 for title in titles]
    columns = (pa.array(titles, pa.large_string()), pa.array(texts, pa.large_string()))
    found = inversion.filled(template, *columns).to_pylist()
    wanted = [passage_text(template, a, b) for a, b in zip(titles, texts, strict=True)]
    assert [text.strip() for text in found] == wanted


@pytest.mark.parametrize(
    "file", ["rows.i32", "times.i32", "lengths.npy", "terms.bin", "bounds.npy"]
)
def test_a_run_that_a_crash_has_torn_is_made_again(
    home: Path, corpus_of: CorpusOf, tmp_path: Path, file: str
) -> None:
    corpus = corpus_of("many", many(300))
    whole = build(corpus, tmp_path / "whole")
    runs = tmp_path / "torn" / "runs"
    inversion.invert(corpus, RECIPE.template, RECIPE.analyser(), runs, Progress("", None))
    torn = runs / f"{0:012d}" / file
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    assert build(corpus, tmp_path / "torn") == whole
