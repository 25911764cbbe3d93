"""What a reader must know of arms whose queries, passages or judgements a model wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ragbench.analysis.load import Run
from ragbench.runfolder.config import EACH, ArmEntry, WritingEntry
from ragbench.runfolder.packed import read_rounds

KINDS = {
    "rationale": "a rationale",
    "passage": "a hypothetical passage",
    "rewrite": "a rewritten query",
    "subquestions": "subquestions",
}

ENDED = {
    "done": "as nothing more was needed",
    "repeated": "with questions that were asked before",
    "empty": "with an empty reply",
}


def written(run: Run) -> Iterator[str]:
    """Yield who wrote what for each arm, and what follows for comparisons of models."""
    asked = [(arm, task) for task in run.members("tasks") for arm in run.arms(task)]
    for arm in dict.fromkeys(arm for arm, _ in asked):
        tasks = [task for other, task in asked if other == arm]
        spec = run.config.arm(arm)
        if spec.control is not None:
            continue
        parts = list(_parts(run, spec))
        if not parts:
            continue
        some = len(tasks) < len(run.members("tasks"))
        where = f" on {', '.join(tasks)}" if some else ""
        what = f"In the arm {arm}{where}, {'; '.join(parts)}"
        several = len(run.members("models")) > 1
        if several and run.config.has_own(arm):
            yield (
                f"{what}. So each model has its own passages there, and a difference between two "
                "models is that of models each with its own queries, passages or judgements."
            )
        else:
            yield f"{what}{'; all models get the same passages' if several else ''}."
        yield from _empty(run, tasks, spec)
        for task in tasks:
            yield from _ended(run, task, spec)


def _parts(run: Run, spec: ArmEntry) -> Iterator[str]:
    queries = run.config.queries.get(spec.queries or "")
    if queries is not None:
        yield f"{_who(queries)} wrote {KINDS.get(queries.write, queries.write)} as the query"
    if spec.write is not None:
        yield f"{_who(spec.write)} wrote the passages from memory, without a corpus"
    if spec.rounds is not None:
        n = spec.rounds.n or 1
        seen = ", each answered from its passages" if spec.rounds.answers and n > 1 else ""
        rounds = "one round" if n == 1 else f"at most {n} rounds"
        yield (f"{_who(spec.rounds)} asked follow-up questions in {rounds}{seen}")
    if spec.filter is not None:
        yield (
            f"{_who(spec.filter)} judged the first {spec.depth} passages, and those below "
            f"{spec.filter.keep:g} were dropped"
        )


def _who(one: WritingEntry) -> str:
    who = {EACH: "each model", "cross-encoder": "a cross-encoder"}.get(one.by, one.by)
    return f"{who}, which saw the options," if one.options == "shown" else who


def _empty(run: Run, tasks: Sequence[str], spec: ArmEntry) -> Iterator[str]:
    """Yield how many replies of writers of queries were empty."""
    if spec.queries is None:
        return
    key = (spec.fuse or (spec.retriever or "",))[0]
    key += "~documents" if spec.within == "documents" else ""
    for model in run.readers(spec.name):
        ranking = run.config.ranking(spec.name, key, model)
        notes = {task: run.retrievals.get((task, ranking)) for task in tasks}
        empty = {task: note.empty_queries or 0 for task, note in notes.items() if note is not None}
        total = sum(run.facts(task).n for task in empty)
        if sum(empty.values()):
            by = next(note.written_by for note in notes.values() if note is not None)
            where = ", ".join(f"{count:,} for {task}" for task, count in empty.items() if count)
            yield (
                f"{sum(empty.values()):,} of {total:,} replies of {by} to write the queries "
                f"{spec.queries!r} were empty ({where}); the question itself was the query there."
            )


def _ended(run: Run, task: str, spec: ArmEntry) -> Iterator[str]:
    """Yield how many questions had no further round, and why."""
    if spec.rounds is None:
        return
    for model in run.members("models") if spec.rounds.by == EACH else [""]:
        lines = read_rounds(run.files.rounds(task, spec.name, model))
        why = Counter(line.stopped for line in lines.values() if line.stopped)
        if not why:
            continue
        counts = ", ".join(
            f"{why[reason]:,} {text}" for reason, text in ENDED.items() if why[reason]
        )
        mean = sum(len(line.queries) for line in lines.values()) / len(lines)
        who = model or spec.rounds.by
        yield (
            f"Of the rounds of {who} in {spec.name} on {task}, {sum(why.values()):,} of "
            f"{len(lines):,} questions ended before round {spec.rounds.n} found anything new "
            f"({counts}); the mean was {mean:.1f} follow-up questions."
        )
