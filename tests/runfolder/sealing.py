"""Gives a run folder that a test has changed the sums of a folder that was written so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ragbench.base.files import sha256_json, write_json, write_jsonl
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.runfile import SEAL
from ragbench.runfolder.sums import GROWING, INPUTS, SCORES, measure, write_sums


def sealed_line(record: dict[str, Any]) -> dict[str, Any]:
    """Return the line of a record with the sum of its present fields."""
    rest = {key: value for key, value in record.items() if key != "sum"}
    return rest | {"sum": sha256_json(rest)}


def reseal(run: Path) -> None:
    """Write the sums of a run's present files, as if ragbench had written them."""
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    about.pop(SEAL, None)
    write_json(run / "run.json", about | {SEAL: sha256_json(about)})
    for path in sorted((run / "records").glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        write_jsonl(path, [sealed_line(json.loads(line)) for line in lines])
    folder = RunPaths(run)
    write_sums(folder, measure(folder, (*INPUTS, *GROWING, *SCORES)))
