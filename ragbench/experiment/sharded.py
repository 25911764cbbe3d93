"""A run on many machines: ``prepare`` once, ``answer`` per shard, ``finish`` once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ragbench.base import home
from ragbench.base.errors import BackendError, DataError, UsageError
from ragbench.base.files import JsonlAppender, locked, private, remove_halves
from ragbench.base.progress import say
from ragbench.base.yamlfile import Document
from ragbench.experiment.answering.answer import answer_open
from ragbench.experiment.answering.merging import merge_shards, missing_by_shard
from ragbench.experiment.answering.opening import Jobs, Opened, Units, open_cells, plan_units
from ragbench.experiment.answering.spending import Spending
from ragbench.experiment.answering.units import Shard
from ragbench.experiment.answering.watching import Watch
from ragbench.experiment.config.config import Config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.known import check_known
from ragbench.experiment.identity import billing, known_identity, resolved
from ragbench.experiment.resume import check_same, prepared_budget
from ragbench.experiment.run import Finished, record_answerers
from ragbench.experiment.stages.deliver import stored_packing
from ragbench.experiment.stages.score import score_cells
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import read_records
from ragbench.runfolder.runfile import SEALED, Identity, RunFile, Session, read_run_file
from ragbench.runfolder.schema import to_json
from ragbench.runfolder.sums import check_inputs

SHOWN = 20  # commands that a message lists


@dataclass(frozen=True)
class Answered:
    """A shard whose questions were asked.

    Attributes:
        folder: Its folder.
        asked: Number of questions that had no answer before.
        errors: Number of those that have none yet.
        spending: What its answers cost.
    """

    folder: RunPaths
    asked: int
    errors: int
    spending: Spending = field(default_factory=Spending)


def answer_shard(config: Config, document: Document, shard: Shard) -> Answered:
    """Ask the questions of one shard of a prepared run, and write only into the shard's folder.

    Neither a corpus nor an index is needed. A shard stops at its share of what is left of
    ``max_cost`` after all that models wrote before the answers.

    Raises:
        UsageError: The config, the questions or a model are not those that were prepared.
        DataError: The run is not prepared, or another process answers the shard.
    """
    grid, folder, run = _prepared(config, document)
    own = folder.shard(shard.folder)
    restricted = grid.is_restricted or run.identity.is_restricted
    with private(restricted, own.path), locked(own.path, what=f"the shard {shard}"):
        remove_halves(own.path)
        known = _check(grid, folder, run)
        units = plan_units(grid, shard)
        jobs = Jobs(grid, stored_packing(grid, folder, _questions(grid, units)))
        before = Spending(billing(grid))
        _add_written(folder, before)
        left = None if config.max_cost is None else max(config.max_cost - before.total, 0.0)
        limit = None if left is None else left / shard.of
        spending = Spending(billing(grid), limit, config.currency)
        watch = Watch([name for name, facts in known.models.items() if facts.served])
        opened = open_cells(grid, own, jobs, units, spending, watch, base=folder)
        with JsonlAppender(own.sessions) as log:
            log.append(to_json(Session.begin()))
        try:
            errors = answer_open(grid, own, opened, jobs, spending, watch)
        finally:
            for model in grid.models.values():
                model.release()
    return Answered(own, _left(opened), errors, spending)


def finish_experiment(config: Config, document: Document, *, command: str) -> Finished:
    """Merge all shards into the run and score it.

    Args:
        config: The checked config.
        document: The document it was read from.
        command: Config and overrides as the commands of a message repeat them.

    Raises:
        UsageError: The config, the questions or a model are not those that were prepared.
        DataError: The run is not prepared, or a shard is of another experiment.
        BackendError: Answers are missing; the message lists the commands that ask them.
    """
    grid, folder, run = _prepared(config, document)
    restricted = grid.is_restricted or run.identity.is_restricted
    with (
        private(restricted, folder.path),
        locked(folder.path, what=f"the run {config.name!r}"),
    ):
        remove_halves(folder.path)
        known = _check(grid, folder, run)
        units = plan_units(grid)
        jobs = Jobs(grid, stored_packing(grid, folder, _questions(grid, units)))
        merged = merge_shards(grid, folder, jobs)
        if said := merged.sentence():
            say(said)
        spending = Spending(billing(grid), None, config.currency)
        _add_written(folder, spending)
        watch = Watch([name for name, facts in known.models.items() if facts.served])
        opened = open_cells(grid, folder, jobs, units, spending, watch)
        record_answerers(folder, watch)
        if _left(opened):
            raise _missing(opened, merged.shards, folder, command)
        if said := spending.sentence():
            say(said)
        scored = score_cells(folder)
    return Finished(folder, scored.errors, scored.unmeasured, spending)


def _add_written(folder: RunPaths, spending: Spending) -> None:
    """Add the cost of what models wrote before the answers."""
    for path in folder.written.all_records():
        for record in read_records(path):
            spending.add(record)


def _prepared(config: Config, document: Document) -> tuple[Grid, RunPaths, RunFile]:
    """Return the grid of a config with its prepared run."""
    check_known(config, document)
    grid = Grid(config, document)
    folder = RunPaths(home.home() / "runs" / config.name)
    grid.check_trust()  # before a question is read
    if not folder.run.is_file():
        raise _unprepared(folder)
    folder.check_inside()
    if folder.stopped.exists():
        raise UsageError(
            "looks were taken at the run, so its questions are asked in rounds, not in shards",
            where=str(folder.stopped),
            fix="ask all with `ragbench run CONFIG --until all`",
        )
    run = read_run_file(folder.run)
    if run.format >= SEALED and not folder.sums.is_file():  # the last file that `prepare` writes
        raise _unprepared(folder)
    budget = prepared_budget(run)
    if grid.config.packing.budget_tokens is None and budget is not None:
        grid.config = grid.config.with_budget(budget)
    return grid, folder, run


def _unprepared(folder: RunPaths) -> DataError:
    return DataError(
        f"the run {folder.name!r} is not prepared",
        where=str(folder.run),
        fix="run `ragbench prepare` with the same config to its end first, and copy the home if "
        "this is another machine",
    )


def _check(grid: Grid, folder: RunPaths, run: RunFile) -> Identity:
    """Refuse another experiment than the prepared one, and return the facts of its models."""
    grid.check_supported()
    known = known_identity(grid)
    check_same(folder, resolved(grid), known, extend=False, is_prepared=True)
    check_inputs(folder, run.format)
    return known


def _questions(grid: Grid, units: Units) -> Mapping[str, list[str]]:
    """Return the ids of the questions of units, by task and in the order asked."""
    found: dict[str, list[str]] = {}
    for task in grid.tasks:
        name = task.spec.name
        places = {
            place
            for tasks in units.values()
            for unit in tasks[name]
            for place in range(unit.start, unit.end)
        }
        found[name] = [task.questions[place].id for place in sorted(places)]
    return found


def _left(opened: Opened) -> int:
    return sum(task.left for tasks in opened.values() for task in tasks)


def _missing(opened: Opened, shards: list[Shard], folder: RunPaths, command: str) -> BackendError:
    """Return the error of a run without all its answers, with the commands that ask them."""
    lines = [f"ragbench run {command}"]
    what = ""
    if shards:
        counts = Counter(shard.of for shard in shards)
        of = max(counts, key=lambda of: (counts[of], of))
        missing = missing_by_shard(opened, of)
        what = ": " + ", ".join(f"{n:,} of shard {s}" for s, n in list(missing.items())[:SHOWN])
        what += ", ..." if len(missing) > SHOWN else ""
        lines = [f"ragbench answer {command} --shard {s}" for s in list(missing)[:SHOWN]]
    return BackendError(
        f"{_left(opened):,} answers are missing{what}",
        where=str(folder.path),
        fix="give these commands, then `ragbench finish` again:\n       "
        + "\n       ".join(lines)
        + ("" if len(lines) == 1 and not shards else f"\n       or ragbench run {command}"),
    )
