"""Arms that delivered fewer passages than they request, each in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ragbench.analysis.load import Run
from ragbench.runfolder.packed import Counts, Fewer, fewer, read_packed, reports_fewer

Cell = tuple[str, str]  # task and model; the model is empty if all models get the same


def short_deliveries(run: Run) -> Iterator[str]:
    """Yield what each arm delivered that requests more, over its tasks and models."""
    if run.about.is_imported:
        return
    for arm in run.members("arms"):
        found = dict(_cells(run, arm))
        if len(found) == 1:
            yield _alone(run, arm, *next(iter(found.items())))
        elif found:
            yield _together(run, arm, found)


def _cells(run: Run, arm: str) -> Iterator[tuple[Cell, Fewer]]:
    if not reports_fewer(run.config.arm(arm).control):
        return
    for task in run.members("tasks"):
        for model in run.readers(arm) if arm in run.arms(task) else ():
            path = run.files.packed(task, arm, model)
            lines = read_packed(path).values() if path.is_file() else ()
            counts = [
                Counts(
                    line.requested or 0,
                    len(line.passages),
                    line.left_out or 0,
                    line.answer_truncated,
                    line.dropped or 0,
                )
                for line in lines
            ]
            if (less := fewer(counts)) is not None:
                yield (task, model), less


def _alone(run: Run, arm: str, cell: Cell, less: Fewer) -> str:
    task, model = cell
    alike = next((kept for other, kept in run.same[task].items() if other == arm), "")
    name, is_written = f"{arm} for {model}" if model else arm, run.config.arm(arm).write is not None
    said = less.sentence(task, name, run.config.budget(arm), alike, is_written=is_written)
    return f"{said}."


def _together(run: Run, arm: str, found: Mapping[Cell, Fewer]) -> str:
    """Return one sentence on several tasks or models: the range of means, and all questions."""
    every = list(found.values())
    n = sum(one.n for one in every)
    total = Fewer(
        n=n,
        requested=sum(one.requested * one.n for one in every) / n,
        delivered=sum(one.delivered * one.n for one in every) / n,
        by_budget=sum(one.by_budget for one in every),
        by_ranking=sum(one.by_ranking for one in every),
        truncated=sum(one.truncated for one in every),
        by_filter=sum(one.by_filter for one in every),
        bare=sum(one.bare for one in every),
        unfound=sum(one.unfound for one in every),
    )
    means = [one.delivered for one in every]
    ends = list(dict.fromkeys(f"{mean:.1f}" for mean in (min(means), max(means))))
    is_written = run.config.arm(arm).write is not None
    return (
        f"{arm} on {named_cells(found)} delivered {' to '.join(ends)} passages on average, not "
        f"{total.requested:.4g} ({total.reasons(run.config.budget(arm), is_written=is_written)})."
    )


def named_cells(cells: Iterable[Cell]) -> str:
    """Return the names of tasks and models; tasks with the same models stand together."""
    models: dict[str, list[str]] = {}
    for task, model in cells:
        models.setdefault(task, []).append(model)
    tasks: dict[tuple[str, ...], list[str]] = {}
    for task, names in models.items():
        tasks.setdefault(tuple(filter(None, names)), []).append(task)
    return ", and on ".join(
        f"{listed(some)} for {listed(list(names))}" if names else listed(some)
        for names, some in tasks.items()
    )


def listed(parts: list[str]) -> str:
    """Return parts with commas and an ``and`` between them."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
