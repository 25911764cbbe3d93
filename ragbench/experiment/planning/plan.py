"""Plan of a run: its grid, missing parts, real prompts, and an estimate of its cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ragbench.base import home
from ragbench.base.errors import DataError, UsageError
from ragbench.base.modelfacts import UNPINNED
from ragbench.base.records import Passage, Question, Scoring
from ragbench.experiment.config.prices import billing_of
from ragbench.experiment.config.spec import CLOSED_BOOK, DOCUMENTS, ArmSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.known import check_known
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import (
    arms_of,
    corpora,
    imitated,
    index_parts,
    source_of,
    sources,
)
from ragbench.experiment.planning.builds import BuildEstimate, Size, build_estimates, size_of
from ragbench.experiment.planning.cost import (
    CostEstimate,
    Load,
    asking_of,
    estimate,
    how_asked,
)
from ragbench.experiment.planning.devices import device_of
from ragbench.experiment.planning.fitting import spread_of
from ragbench.experiment.planning.offline import Missing, OfflineGrid
from ragbench.experiment.planning.passages import (
    PACKED,
    SAMPLES,
    SampledPassages,
    every,
    runnable_notes,
)
from ragbench.experiment.planning.rates import Rate, rate_of
from ragbench.experiment.planning.weighing import OptionMass, PromptSample, weigh_letters
from ragbench.experiment.planning.written import (
    PlannedTexts,
    add_writings,
    who_gets_what,
    writing_notes,
)
from ragbench.experiment.resume import kept_budget
from ragbench.experiment.stages.arms import Delivery
from ragbench.experiment.stages.budget import Budget, choose_budget, longest_closed_book
from ragbench.experiment.stages.prompts import continuations, messages
from ragbench.experiment.writing.instructions import PASSAGES
from ragbench.models.model import Model
from ragbench.models.spec import ModelSpec
from ragbench.runfolder.config import Billing
from ragbench.runfolder.packed import Counts, fewer
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.settings import DECLARED, default_arm

TYPICAL = 200  # tokens of a question whose file is missing, its instruction included
OPTIONS = 5  # of a question whose file is missing


@dataclass(frozen=True, slots=True)
class PrimaryArm:
    """The retrieval arm that the primary effects of a task are of, and why it is that one."""

    task: str
    arm: str
    why: str


@dataclass
class Plan:
    """Plan of a run.

    Attributes:
        name: The run.
        cells: Model, task, arm and number of questions; None where that is unknown.
        budget_tokens: Maximum tokens of passages per prompt.
        budget_why: What it was chosen by.
        primary: Primary arms.
        to_build: Commands that build what is missing.
        builds: What these builds take.
        samples: Rendered prompts.
        estimates: Cost by model.
        masses: Probability of the letters.
        deliveries: Arms that deliver less than they request, or the same as another one.
        notes: Further notes.
        missing: Parts that are missing.
        not_built: Parts that ragbench does not support, as the config says.
        unknown_tasks: Tasks whose number of questions is unknown.
        assumed_tasks: Tasks without questions here, planned by their published numbers.
        currency: Label of costs.
        max_cost: Cost at which the run stops.
    """

    name: str = ""
    cells: list[tuple[str, str, str, int | None]] = field(default_factory=list)
    budget_tokens: int = 0
    budget_why: str = ""
    primary: list[PrimaryArm] = field(default_factory=list)
    to_build: list[str] = field(default_factory=list)
    builds: list[BuildEstimate] = field(default_factory=list)
    samples: list[PromptSample] = field(default_factory=list)
    estimates: list[CostEstimate] = field(default_factory=list)
    masses: list[OptionMass] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    not_built: list[str] = field(default_factory=list)
    unknown_tasks: list[str] = field(default_factory=list)
    assumed_tasks: list[str] = field(default_factory=list)
    currency: str = "USD"
    max_cost: float | None = None


def make_plan(grid: Grid, *, device: str = "") -> Plan:
    """Return the plan of an experiment; no part is built and no answer is kept.

    A small local model, or one behind a server, scores the letters of a few sample prompts.

    Args:
        grid: The experiment; the missing parts of an ``OfflineGrid`` are listed.
        device: Device of the time estimates, by its name in ``DEVICES``; empty for this machine.

    Raises:
        UsageError: The config names what does not exist, a prompt with a full budget of passages
            would not fit a model's context, or the device is unknown.
        DataError: A TREC run is missing.
    """
    stated = device_of(device) if device else None
    check_known(grid.config, grid.document)
    grid.check_trust()
    tasks = grid.every_task if isinstance(grid, OfflineGrid) else grid.tasks
    _check_run_files(grid)
    grid.check_supported()
    config = grid.config
    plan = Plan(
        name=config.name,
        to_build=grid.missing(),
        notes=[*grid.unlike(), *who_gets_what(config), *runnable_notes(grid)],
        not_built=list(config.not_built),
        currency=config.currency,
        max_cost=config.max_cost,
    )
    _budget(plan, grid)
    plan.primary = list(_primary(grid, tasks))
    lengths, sampled = _Lengths(grid), SampledPassages(grid)
    planned: list[PlannedTexts] = []
    for task in grid.tasks:
        plan.deliveries += _deliveries(grid, task, lengths, sampled)
    for task in tasks:
        if not task.questions:
            known = plan.unknown_tasks if task.info.size is None else plan.assumed_tasks
            known.append(task.spec.name)
    for spec in config.models:
        load = Load()
        for task in tasks:
            _load_task(plan, grid, spec.name, task, load, lengths, sampled)
            planned += add_writings(grid, spec.name, task, load, lengths.of)
        model = grid.models[spec.name]
        billing = billing_of(spec, config.prices.get(spec.name), in_flight=1)
        asked = estimate(spec.name, model, load, stated, Billing(), spread=spread_of(spec))
        plan.notes += [f"warning: {asked.unfit}"] * bool(asked.unfit)
        weighed = weigh_letters(model, spec.name, grid.tasks, plan.samples, asked.weight_bytes)
        plan.masses += weighed.masses
        plan.notes += weighed.notes
        rates = _rates(spec, model, load, weighed.seconds)
        found = estimate(spec.name, model, load, stated, billing, rates, spread_of(spec))
        plan.estimates.append(found)
        generates = any(task.scoring == "generate" for task in grid.tasks)
        if generates and model.facts().template_day == UNPINNED:
            plan.notes.append(
                f"warning: {spec.name}: the server's chat template writes the day into each "
                "prompt, which no request changes; a run that is resumed on another day mixes "
                "prompts of both"
            )
        plan.notes += how_asked(model, found, {task.scoring for task in tasks})
    plan.notes += writing_notes(planned)
    bad = set()
    if isinstance(grid, OfflineGrid):
        plan.missing = grid.missing_parts
        bad = {part.what.partition(" ")[2] for part in grid.missing_parts if not part.downloaded}
    parts = [part for part in index_parts(config, tasks) if part.recipe not in bad]
    plan.builds = list(build_estimates(corpora(config, tasks), parts, stated))
    return plan


def _rates(
    spec: ModelSpec, model: Model, load: Load, probed: Sequence[float]
) -> dict[Scoring, Rate]:
    """Return the rates at which a server answers, as far as they are known."""
    stated = spec.options.stated_rate
    if model.facts().served is None and stated is None:
        return {}
    found = {
        scoring: rate_of(model.digest(), scoring, stated=stated, probed=probed)
        for scoring in load.by_scoring
    }
    return {scoring: rate for scoring, rate in found.items() if rate is not None}


def _check_run_files(grid: Grid) -> None:
    """Refuse a missing TREC run, as the run does."""
    for task in grid.tasks:
        for source in sources(grid.config, task):
            if source.run_file is not None and not source.run_file.is_file():
                where = f"{source.run_file} (arm {source.key})"
                raise DataError("the TREC run does not exist", where=where)


def _budget(plan: Plan, grid: Grid) -> None:
    """Choose the budget as the run does, unless the config or an earlier session names it."""
    plan.budget_why = "as the config says"
    if grid.config.packing.budget_tokens is None:
        kept = kept_budget(RunPaths(home.home() / "runs" / grid.config.name))
        chosen = choose_budget(grid) if kept is None else Budget(kept, "as the run began")
        plan.budget_why = chosen.why
        grid.config = grid.config.with_budget(chosen.tokens)
    plan.budget_tokens = grid.config.packing.budget_tokens or 0


def _load_task(
    plan: Plan,
    grid: Grid,
    name: str,
    task: TaskPart,
    load: Load,
    lengths: _Lengths,
    sampled: SampledPassages,
) -> None:
    """Add the cells of a model and a task to the plan, and its prompts to the load."""
    model, n = grid.models[name], len(task.questions) or task.info.size
    limit = task.spec.limit
    n = min(n, limit) if n and limit else n
    samples: list[PromptSample] = []
    longest, mean, options, added = (0, ""), TYPICAL, float(OPTIONS), 0.0
    if task.questions:
        longest, mean = longest_closed_book(model, task), _mean_closed_book(model, task)
        samples = _samples(grid, name, task, sampled)
        plan.samples += samples
        options = sum(len(q.options) for q in task.questions) / len(task.questions)
        added = _mean_options(model, task)
    for arm in arms_of(grid.config, task):
        passages = 0 if arm.kind == CLOSED_BOOK else grid.config.budget(arm)
        if task.questions:
            _check_fit(name, model, task, arm.name, longest, passages)
        plan.cells.append((name, task.spec.name, arm.name, n))
        if n is None:
            continue
        about = min(passages, lengths.expected(arm, task) or passages)
        tokens = n * _mean_prompt([s for s in samples if s.arm == arm.name], mean, about)
        reply = task.reply_limit if task.scoring == "generate" else 0
        load.longest = max(load.longest, (longest[0] or mean) + passages + reply)
        load.add(n, tokens, asking_of(model, task.scoring, options, added), reply, task.scoring)


class _Lengths:
    """Mean lengths of the passages of corpora, as far as they are known."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._sizes: dict[str, Size | None] = {}

    def of(self, corpus: str) -> int | None:
        """Return the mean tokens of a passage; None if unknown."""
        if not corpus:
            return None
        if corpus not in self._sizes:
            self._sizes[corpus] = size_of(corpus)
        size = self._sizes[corpus]
        return None if size is None else size.tokens

    def expected(self, arm: ArmSpec, task: TaskPart) -> int | None:
        """Return the tokens that an arm of k passages requests; None if unknown."""
        source, like = source_of(self._grid.config, arm, task), imitated(self._grid.config, arm)
        if like.write is not None:
            return like.write.reply_limit or PASSAGES.limit * like.write.n
        k = like.asked
        length = None if source is None or not k else self.of(source.corpus)
        return None if length is None else k * length


def _deliveries(
    grid: Grid, task: TaskPart, lengths: _Lengths, sampled: SampledPassages
) -> Iterator[str]:
    """Yield the retrieval arms that deliver less than they request, or the same as another."""
    chosen = every(task.questions, PACKED)
    kept: dict[tuple[tuple[str, ...], ...], str] = {}
    for arm in arms_of(grid.config, task):
        if arm.control is not None or arm.kind in (CLOSED_BOOK, DOCUMENTS):
            continue
        budget = grid.config.budget(arm)
        if sampled.note(arm, task):
            source = source_of(grid.config, arm, task)
            length = lengths.of(source.corpus) if source else None
            if length and arm.asked * length > budget:
                yield (
                    f"{arm.name} on {task.spec.name}: of {arm.asked:,} passages about "
                    f"{budget // length:,} fit the budget of {budget:,} tokens"
                )
            continue
        packed = sampled.of(arm, task)
        found = [packed[question.id] for question in chosen]
        same = kept.setdefault(tuple(tuple(p.id for p in d.passages) for d in found), arm.name)
        same = "" if same == arm.name else same
        less = fewer([Counts(arm.asked, len(d.passages), d.left_out) for d in found])
        if less is not None:
            yield f"in a sample, {less.sentence(task.spec.name, arm.name, budget, same)}"
        elif same:
            yield f"in a sample, {arm.name} on {task.spec.name} delivered the same as {same}"


def _primary(grid: Grid, tasks: Sequence[TaskPart]) -> Iterator[PrimaryArm]:
    """Yield the primary arm of each task that has one, before any prompt is known."""
    declared = grid.config.analysis.primary
    for task in tasks:
        name, arms = task.spec.name, arms_of(grid.config, task)
        if declared.tasks and name not in declared.tasks:
            continue
        retrieval = [arm.name for arm in arms if not arm.control and arm.kind != CLOSED_BOOK]
        if declared.arm is not None:
            found = (declared.arm, DECLARED) if declared.arm in retrieval else None
        else:
            found = default_arm(retrieval, {arm.like for arm in arms if arm.like})
        if found is not None:
            yield PrimaryArm(name, *found)


def _prompt(model: Model, task: TaskPart, question: Question, passages: list[Passage]) -> str:
    return model.render(messages(task.info, question, passages, task.scoring))


def _mean_closed_book(model: Model, task: TaskPart) -> int:
    some = task.questions[:: max(1, len(task.questions) // 20)]
    return sum(model.count_tokens(_prompt(model, task, q, [])) for q in some) // len(some)


def _mean_options(model: Model, task: TaskPart) -> float:
    """Return the mean tokens of all options of a question, as they follow the prompt."""
    if task.scoring == "generate":
        return 0.0
    some = task.questions[:: max(1, len(task.questions) // 20)]
    texts = [model.continuation(text) for q in some for text in continuations(q, task.scoring)]
    return sum(map(model.count_tokens, texts)) / len(some)


def _check_fit(
    name: str, model: Model, task: TaskPart, arm: str, longest: tuple[int, str], passages: int
) -> None:
    size = longest[0] + passages
    if size > model.context_tokens:
        raise UsageError(
            f"a prompt of up to {size:,} tokens ({passages:,} of them for passages) does not fit "
            f"the {model.context_tokens:,} tokens of {name!r}",
            where=f"task {task.spec.name}, arm {arm}, question {longest[1]}",
            fix=f"set packing.budget_tokens to {max(model.context_tokens - longest[0], 1)} or less",
        )


def _samples(
    grid: Grid, model_name: str, task: TaskPart, sampled: SampledPassages
) -> list[PromptSample]:
    """Render three questions in each arm, with passages if the index is built."""
    model = grid.models[model_name]
    samples: list[PromptSample] = []
    chosen = every(task.questions, SAMPLES)
    for arm in arms_of(grid.config, task):
        given, note = sampled.of(arm, task), sampled.note(arm, task)
        for question in chosen:
            held = given.get(question.id, Delivery())
            prompt = _prompt(model, task, question, list(held.passages))
            size = model.count_tokens(prompt)
            samples.append(
                PromptSample(model_name, task.spec.name, arm.name, question.id, prompt, size, note)
            )
    return samples


def _mean_prompt(samples: list[PromptSample], closed_book: int, passages: int) -> int:
    """Return an arm's mean prompt tokens; with a full budget where passages are unknown."""
    if any(sample.note for sample in samples) or not samples:
        return closed_book + passages
    return max(closed_book, sum(sample.prompt_tokens for sample in samples) // len(samples))
