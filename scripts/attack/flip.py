"""Flips one bit of a file of a run, a corpus or an index, and reads its figures.

Every flip must end in an error that names the file, or in the very output of the whole file.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
import os
import random
import shlex
import tempfile
from collections import Counter
from pathlib import Path

from fuzz import Home, ragbench
from seeds import write_home

RUN = ("run.json", "sums.json", "sessions.jsonl", "config.yaml", "questions/*.jsonl",
       "retrieval/*.trec", "retrieval/*.json", "retrieval/*.quality.jsonl", "packed/*.jsonl",
       "passages.jsonl", "prompts/*.jsonl", "records/*.jsonl", "scores/*.parquet")  # fmt: skip
CORPUS = ("passages.arrow", "id_order.npy", "id_rank.npy", "manifest.json", "skipped.jsonl.gz",
          ".verified.json")  # fmt: skip
BM25 = ("terms.bin", "terms.npy", "indptr.npy", "rows.i32", "scores.f32", "manifest.json",
        ".verified.json")  # fmt: skip
DENSE = ("index.faiss", "recall_queries.npz", "manifest.json", ".verified.json")
EVALUATE = "index eval {} --queries raw/beir/queries.jsonl --qrels raw/q.qrels --json"
KINDS = {
    **{
        f"runs/small/{name}": ("analyze small --json", "compare small other --json") for name in RUN
    },
    **{f"corpora/flipped/{name}": ("index search bm25-flipped gout --json",) for name in CORPUS},
    **{f"indexes/bm25-flipped/{name}": (EVALUATE.format("bm25-flipped"),) for name in BM25},
    **{f"indexes/dense/{name}": (EVALUATE.format("dense"),) for name in DENSE},
}


def said(command: str) -> tuple[int, str, str]:
    """Return the exit code of a command, its output and its messages."""
    from ragbench.cli.main import main

    out, errors, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            main(shlex.split(command))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return code, out.getvalue(), errors.getvalue()


def campaign(seed: int, cases: int, only: str = "") -> int:
    """Flip so many bits, spread over the kinds; return the number of undetected ones."""
    draw = random.Random(seed)
    tried: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="attack-") as place:
        folder = Path(place)
        os.environ |= {"RAGBENCH_HOME": place, "HF_HUB_OFFLINE": "1"}
        os.chdir(folder)
        write_home(folder, ragbench)
        rows = (folder / "raw" / "rows.jsonl").read_text()
        (folder / "raw" / "twice.jsonl").write_text(rows + rows.splitlines()[0].replace("d0", "e0"))
        card = "reader: jsonl\npath: ../raw/twice.jsonl\nlicence: CC0\nduplicates: {exact: drop}\n"
        (folder / "corpora" / "flipped.yaml").write_text(card)
        recipe = (folder / "indexes" / "vectors.yaml").read_text() + "factory: HNSW16\n"
        (folder / "indexes" / "graph.yaml").write_text(recipe)
        for command in ("corpus build flipped", "index build bm25 --corpus flipped",
                        "index build graph --corpus facts --name dense"):  # fmt: skip
            assert ragbench(command) == 0, (command, ragbench.message)  # type: ignore[attr-defined]
        whole = {command: said(command) for chain in KINDS.values() for command in chain}
        assert all(code == 0 for code, _, _ in whole.values()), whole
        home = Home(folder)
        home.remember()
        kinds = [kind for kind in KINDS if only in kind]
        for number in range(cases):
            kind = kinds[number % len(kinds)]
            names = sorted(name for name in home.files if fnmatch.fnmatch(name, kind))
            assert names, kind
            name, command = draw.choice(names), draw.choice(KINDS[kind])
            data = bytearray((folder / name).read_bytes())
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            (folder / name).write_bytes(data)
            try:
                code, out, message = said(command)
                is_named = Path(name).name in message or str(Path(name).parent) in message
                problem = "" if is_named else f"the message names no file: {message}"
                if code == 0:
                    problem = "" if out == whole[command][1] else f"another figure: {message}"
            except Exception as error:
                code, problem = 1, f"{type(error).__name__}: {error}"
            home.restore()
            tried[kind] += 1
            found[kind] += code != 0
            if problem:
                wrong[kind] += 1
                print(f"PROBLEM {name}: {command}: {problem}", flush=True)
        os.chdir("/")
    for kind in sorted(tried):
        print(f"{kind:40} {tried[kind]:6} {found[kind]:6} {wrong[kind]:4}")
    print(f"{'all':40} {tried.total():6} {found.total():6} {wrong.total():4}")
    return wrong.total()
