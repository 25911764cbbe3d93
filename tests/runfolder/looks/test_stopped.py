"""The file of looks is read as it was written, and refused if it has changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.runfolder.looks.stopped import (
    AskedCell,
    EffectDecision,
    EffectLook,
    StopFile,
    read_stopped,
    write_stopped,
)
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.settings import StopSettings

CELL = AskedCell(model="m", task="t", arm="a", n=50)
LOOK = EffectLook(
    n=50, estimate=0.1, low=-0.1, high=1 / 3, e_value=2.5, p=0.4, p_below=0.2, p_above=0.9
)
EFFECT = EffectDecision(
    effect="gain over closed-book",
    model="m",
    base="",
    task="t",
    arm="a",
    baseline="closed-book",
    cells=(("m", "t", "a"),),
    looks=(LOOK,),
    p_adjusted=0.4,
    p_equivalence_adjusted=0.9,
    verdict="open",
    decided_at=None,
)


def test_looks_are_read_as_written_and_an_edit_is_refused(tmp_path: Path) -> None:
    folder = RunPaths(tmp_path)
    assert read_stopped(folder) is None
    stopped = StopFile(
        alpha=0.05,
        share=0.2,
        settings=StopSettings(margin=0.03),
        asked=(CELL,),
        looks=((CELL,),),
        effects=(EFFECT,),
    )
    write_stopped(folder, stopped)
    assert read_stopped(folder) == stopped
    assert stopped.n == {("m", "t", "a"): 50}
    assert LOOK.p_equivalence == 0.9
    value = json.loads(folder.stopped.read_text(encoding="utf-8"))
    value["effects"][0]["verdict"] = "shown"
    folder.stopped.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(DataError, match="has changed since it was written"):
        read_stopped(folder)
