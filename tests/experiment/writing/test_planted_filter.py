"""A judge that is right in nine of ten judgements gains what arithmetic says."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from ragbench.report.write import write_report
from ragbench.runfolder.packed import read_filtered
from ragbench.runfolder.paths import RunPaths
from tests.experiment.writing.cases import NO, YES
from tests.experiment.writing.test_rounds import run

N, RIGHT = 200, 0.9
NAMES = ("croup", "gout", "mumps")
CONFIG = """\
name: rounds
indexes: {bm25: {recipe: bm25, corpus: notes}}
models:
  - {name: judge, backend: scripted, rule: overlap, replies: judge.jsonl}
tasks:
  - {name: cases, task: mcq, scoring: letters, options: {path: cases.jsonl, corpus: notes}}
arms:
  - closed-book
  - {name: plain-1, retriever: bm25, k: 1}
  - {name: kept-1, retriever: bm25, k: 1, depth: 2, filter: {by: judge, keep: 0.5}}
"""


def write_lines(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.slow
def test_a_filter_that_is_right_nine_times_of_ten(home: Path) -> None:
    """The first passage names a wrong option, the second the right one.

    A question is right if the first is dropped and the second kept, 0.9 * 0.9, or if both are
    dropped, 0.1 * 0.9, and one of three options is guessed: 0.81 + 0.09 / 3 = 0.84.
    """
    draw = random.Random(5)
    passages, cases, replies = list[dict[str, object]](), [], list[dict[str, object]]()
    kept: dict[str, tuple[str, ...]] = {}
    for i in range(N):
        right, wrong = NAMES[i % 3], NAMES[(i + 1) % 3]
        passages += [
            {"id": f"a{i}", "text": f"note{i}x is {wrong}."},
            {"id": f"b{i}", "text": f"note{i}x as seen on the ward in spring is {right}."},
        ]
        cases.append(
            {"id": f"q{i}", "question": f"Which is note{i}x?", "options": NAMES, "answer": right}
        )
        verdicts = [(draw.random() < RIGHT) == is_right for is_right in (False, True)]
        for start, helps in zip(("is", "as seen"), verdicts, strict=True):
            matches = rf"(?s)note{i}x {start}.*Does the passage help"
            replies.append({"matches": matches, "log_likelihoods": YES if helps else NO})
        kept[f"q{i}"] = tuple(f"{x}{i}" for x, helps in zip("ab", verdicts, strict=True) if helps)
    (home / "corpora").mkdir()
    (home / "corpora" / "notes.yaml").write_text("reader: jsonl\npath: ../notes.jsonl\n")
    write_lines(home / "notes.jsonl", passages)
    write_lines(home / "cases.jsonl", cases)
    write_lines(home / "judge.jsonl", replies)
    (home / "rounds.yaml").write_text(CONFIG)
    folder = run(home)
    write_report(folder)
    judged = read_filtered(RunPaths(folder).filtered("cases", "kept-1"))
    assert {name: line.kept for name, line in judged.items()} == kept
    assert all(line.passages == (f"a{name[1:]}", f"b{name[1:]}") for name, line in judged.items())
    results = pd.read_csv(folder / "results.csv")
    found = results[results.metric == "accuracy"].set_index("arm")
    low, high = (found[key].loc["kept-1"] for key in ("ci_low", "ci_high"))
    assert low < 0.81 + 0.09 / 3 < high
    assert found["value"].loc["plain-1"] == 0
    # Where the filter kept a passage, the answer is the option that the first of them names.
    first = sum(ids[:1] == (f"b{name[1:]}",) for name, ids in kept.items())
    bare = sum(not ids for ids in kept.values())
    assert first <= found["value"].loc["kept-1"] * N + 1e-6 <= first + bare + 1e-6
