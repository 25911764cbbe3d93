"""Three run folders that ragbench wrote before the run folder had types, cut to a few questions.

``own`` is a run of three kinds of rankings and two ways of taking answers; ``mirage`` and
``lm-eval`` are imported. Versions, machine and commit are not those of any machine. The scores,
which are Parquet in a run, are JSON lines here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragbench.runfolder.paths import RunPaths

FOLDER = Path(__file__).parents[1] / "data" / "run_folder"
OWN, MIRAGE, LM_EVAL = (RunPaths(FOLDER / name) for name in ("own", "mirage", "lm-eval"))
RUNS = (OWN, MIRAGE, LM_EVAL)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file as they are."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
