"""How many questions a second a server answers: as stated, measured in a former run, or probed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ragbench.base import home
from ragbench.base.errors import RagbenchError
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import Covered, Record, read_records
from ragbench.runfolder.runfile import RunFile, read_run_file

FEWEST, MOST = 10, 500  # answers from which a rate is measured: of a model, and of each cell


@dataclass(frozen=True, slots=True)
class Rate:
    """Questions a second, and where the figure is from."""

    per_s: float
    source: str


def rate_of(
    model: str, scoring: str, *, stated: float | None, probed: Sequence[float]
) -> Rate | None:
    """Return the rate at which a server answers questions; None if nothing tells.

    Args:
        model: Identity of the model.
        scoring: How its answers are taken.
        stated: The rate of the config.
        probed: Seconds of sample prompts that were scored one at a time.
    """
    if stated is not None:
        return Rate(stated, "as the config says")
    for path, run in _former_runs():
        try:
            found = _measured(path, run, model, scoring)
        except RagbenchError:  # a record was changed
            continue
        if found is not None:
            return Rate(found, f"as measured in the run {path.name}")
    if scoring == "letters" and probed and sum(probed):
        return Rate(
            len(probed) / sum(probed),
            f"as {len(probed)} sample prompt{'s' * (len(probed) != 1)}, one at a time; several at "
            "a time take less",
        )
    return None


def _former_runs() -> Iterator[tuple[Path, RunFile]]:
    files = [path for path in (home.home() / "runs").glob("*/run.json") if path.is_file()]
    for path in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        try:
            yield path.parent, read_run_file(path)
        except RagbenchError:  # another format, or damaged
            continue


def _measured(path: Path, run: RunFile, model: str, scoring: str) -> float | None:
    """Return the rate at which a model answered in a run; None if it did not, or too little."""
    files = RunPaths(path)
    for name, facts in run.identity.models.items():
        if facts.digest != model:
            continue
        answered = [
            record
            for task, known in run.identity.tasks.items()
            if known.scoring == scoring
            for arm in known.arms
            for record in islice(read_records(files.records(name, task, arm)), MOST)
            if record.elapsed_s is not None
        ]
        billing = run.config.billing.get(name)
        if len(answered) < FEWEST or billing is None:
            continue
        if took := _took(answered, min(billing.in_flight, len(answered))):
            return len(answered) / took
    return None


def _took(answered: Sequence[Record], in_flight: int) -> float:
    """Return the seconds in which at least one question was being answered.

    Records of an earlier version have no times; then it is the sum over all questions, shared by
    those in flight.
    """
    covered, took = Covered(), 0.0
    for record in answered:
        seconds = record.elapsed_s or 0.0
        if record.ended_at is None:
            return math.fsum(one.elapsed_s or 0.0 for one in answered) / in_flight
        took += covered.add(record.ended_at - seconds, record.ended_at)
    return took
