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
COMMON = ("name", "backend", "kind", "base", "format")  # keys of every entry of `config.models`


def differing(made: Path, golden: RunPaths) -> list[str]:
    """Return the files of a golden run that another run does not have byte for byte.

    Of run.json everything counts but when and where the run started, the format, and those keys
    of a model's entry that format 4 leaves out: the keys of backends that are not the model's.
    Records have no digests there.
    """
    found = []
    for path in golden.path.rglob("*.json*"):
        name = path.relative_to(golden.path)
        if name.parts[0] in ("scores", "sessions.jsonl"):
            continue
        one, other = path.read_text(encoding="utf-8"), (made / name).read_text(encoding="utf-8")
        if path == golden.run:
            one, other = (_compared(text) for text in (one, other))
        if name.parts[0] == "records":
            other = "".join(_unsealed(line) for line in other.splitlines())
        if one != other:
            found.append(str(name))
    return found


def _compared(text: str) -> str:
    """Return the text of a run.json less what may differ, its keys in their order."""
    value = json.loads(text)
    del value["started"], value["format"]
    value.pop("seal", None)
    value["identity"].pop("imported_format", None)  # newer than the golden runs
    models = value["config"]["models"]
    value["config"]["models"] = [{key: model[key] for key in COMMON} for model in models]
    return json.dumps(value)


def _unsealed(line: str) -> str:
    """Return a record less the digests that format 5 added."""
    value = json.loads(line)
    assert value.pop("sum") and value.pop("question")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON-lines file as they are."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
