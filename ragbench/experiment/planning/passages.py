"""What arms would deliver to a sample of questions, from the indexes that are built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ragbench.base.records import Question
from ragbench.experiment.config.spec import DOCUMENTS, ArmSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, imitated, source_of
from ragbench.experiment.stages.arms import Context, Delivery, pack
from ragbench.indexes import built as indexes
from ragbench.indexes.retriever import IndexKind

PACKED = 20  # questions whose passages are packed to see what an arm delivers
SAMPLES = 3  # of them whose prompts are shown


def every(questions: Sequence[Question], n: int) -> list[Question]:
    """Return n evenly spaced questions, or all if there are fewer."""
    return list(questions[:: max(1, len(questions) // n)][:n])


def runnable_notes(grid: Grid) -> Iterator[str]:
    """Yield how often each runnable of an arm is called; none is imported.

    Raises:
        UsageError: The module of one has no file.
    """
    seen: set[tuple[str, str]] = set()
    for task in grid.tasks:
        for arm in arms_of(grid.config, task):
            if arm.runnable is None or (task.spec.name, arm.runnable.name) in seen:
                continue
            seen.add((task.spec.name, arm.runnable.name))
            arm.runnable.source()
            shown = ", which it sees with its options" if arm.runnable.show_options else ""
            yield (
                f"the run calls {arm.runnable.name} ({arm.runnable.factory}) once per question of "
                f"{task.spec.name}{shown}: {len(task.questions):,} calls, whose cost is unknown"
            )


class SampledPassages:
    """Passages of some questions by arm; each index is opened and searched once per task."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._opened: dict[str, IndexKind] = {}
        self._found: dict[tuple[str, str], Mapping[str, Delivery]] = {}

    def note(self, arm: ArmSpec, task: TaskPart) -> str:
        """Return why passages are not shown; empty if they are, or if the arm has none."""
        source, like = source_of(self._grid.config, arm, task), imitated(self._grid.config, arm)
        if like.write is not None:
            return "passages that a model writes, when the run starts"
        if source is None:
            return ""
        if arm.kind == DOCUMENTS or arm.within == DOCUMENTS:
            return "the question's own documents; the run chooses them when it packs"
        if arm.control is not None:
            return f"a control of {arm.like}; the run chooses its passages when it packs"
        if arm.queries is not None:
            return "the run ranks its passages when a model has written the queries"
        if arm.rounds is not None:
            return "the run ranks its passages when a model has asked in rounds"
        if arm.filter is not None:
            return "the run chooses its passages when they are judged"
        if len(source.parts) != 1:
            return "the run ranks its passages when it retrieves"
        name = source.parts[0].name
        return "" if indexes.is_built(name) else f"without passages, as {name} is not built yet"

    def of(self, arm: ArmSpec, task: TaskPart) -> Mapping[str, Delivery]:
        """Return what an arm delivers to the sampled questions; empty where it is not shown."""
        key = (task.spec.name, arm.name)
        if key not in self._found:
            source = source_of(self._grid.config, arm, task)
            if source is None or self.note(arm, task):
                return {}
            self._search(source.parts[0].name, task)
        return self._found[key]

    def _search(self, name: str, task: TaskPart) -> None:
        """Search an index once for all arms of a task that it ranks alone."""
        if name not in self._opened:
            self._opened[name] = indexes.open_index(name)
        index, mine = self._opened[name], []
        for arm in arms_of(self._grid.config, task):
            source = source_of(self._grid.config, arm, task)
            if source and not self.note(arm, task) and source.parts[0].name == name:
                mine.append(arm)
        chosen = {q.id: q for n in (PACKED, SAMPLES) for q in every(task.questions, n)}
        hits = index.search([q.query for q in chosen.values()], max(arm.asked for arm in mine))
        for arm in mine:
            context = self._context(index, arm)
            self._found[task.spec.name, arm.name] = {
                identifier: pack(
                    (index.corpus[hit.row] for hit in found[: arm.asked]), context, order=arm.order
                )
                for identifier, found in zip(chosen, hits, strict=True)
            }

    def _context(self, index: IndexKind, arm: ArmSpec) -> Context:
        return Context(
            task="",
            corpus=index.corpus,
            ranked={},
            gold={},
            like={},
            like_spec=None,
            count_tokens=self._grid.reference_model.count_tokens,
            budget_tokens=self._grid.config.budget(arm),
            seed=self._grid.config.seed,
        )
