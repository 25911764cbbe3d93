"""A grid of two tasks and three arms without a corpus, and its packing, for tests of answering."""

from __future__ import annotations

import json
from pathlib import Path

from ragbench.base.records import Passage
from ragbench.experiment.answering.opening import Jobs, Opened, Packed, open_cells, plan_units
from ragbench.experiment.answering.spending import Spending
from ragbench.experiment.answering.units import Shard
from ragbench.experiment.answering.watching import Watch
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.arms import Delivery
from ragbench.runfolder.paths import RunPaths

CONFIG = """\
name: parts
models: [{name: m, backend: scripted, rule: hash}]
tasks:
  - {name: long, task: mcq, scoring: letters, options: &asked {path: asked.jsonl, corpus: c}}
  - {name: short, task: mcq, scoring: options, options: *asked, limit: 4}
arms:
  - closed-book
  - {name: made, run_file: made.trec, corpus: c, k: 1}
  - {name: same, run_file: made.trec, corpus: c, k: 1}
"""
N = 10


def make_parts(home: Path) -> tuple[Grid, Packed]:
    """Write the questions and the config; return the grid and what each arm delivers."""
    lines = [
        {"id": f"q{n}", "question": f"Question {n}?", "options": ["a", "b"], "answer": "A"}
        for n in range(N)
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (home / "parts.yaml").write_text(CONFIG)
    grid = Grid(*load_config(str(home / "parts.yaml")))
    passage = Passage("d", "d", "", "A passage.")
    packed: Packed = {
        (task.spec.name, arm): {
            question.id: Delivery(() if arm == "closed-book" else (passage,))
            for question in task.questions
        }
        for task in grid.tasks
        for arm in ("closed-book", "made", "same")
    }
    return grid, packed


def opened_of(
    grid: Grid,
    folder: Path,
    packed: Packed,
    shard: Shard | None = None,
    base: RunPaths | None = None,
) -> tuple[Opened, Jobs]:
    jobs = Jobs(grid, packed)
    units = plan_units(grid, shard)
    found = open_cells(grid, RunPaths(folder), jobs, units, Spending(), Watch(), base=base)
    return found, jobs
