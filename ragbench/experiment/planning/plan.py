"""Plan of a run: its grid, missing parts, real prompts, and an estimate of its cost."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ragbench.base.errors import BackendError, PrerequisiteError, UsageError, near
from ragbench.base.modelfacts import UNPINNED
from ragbench.base.records import LEAST_MASS, OptionScores, Passage, Question, small_share
from ragbench.experiment.config.spec import CLOSED_BOOK, DOCUMENTS, ArmSpec
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, source_of
from ragbench.experiment.planning.offline import Missing, OfflineGrid
from ragbench.experiment.stages.answer import reserve
from ragbench.experiment.stages.arms import Context, pack
from ragbench.experiment.stages.prompts import messages
from ragbench.indexes import built as indexes
from ragbench.metrics.likelihood import option_mass
from ragbench.models.model import Choice, Model
from ragbench.runfolder.settings import DECLARED, default_arm
from ragbench.tasks.replies.answers import letters

SAMPLES = 3
QUICKLY_LOADED = 4e9  # bytes of weights that a plan loads to weigh the letters
GEMM_SHARE = 0.4  # of a matrix product's peak speed, as measured for prefill on CPUs


@dataclass(frozen=True, slots=True)
class StatedDevice:
    """An accelerator by its data sheet: dense bfloat16 FLOP/s, bytes, and bytes/s."""

    title: str
    products_per_s: float
    memory: float
    bytes_per_s: float


# From makers' data sheets, without sparsity.
DEVICES = {
    "rtx-4090": StatedDevice("RTX 4090, 24 GB", 165e12, 24e9, 1.01e12),
    "l40s": StatedDevice("L40S, 48 GB", 362e12, 48e9, 0.864e12),
    "a100-80gb": StatedDevice("A100, 80 GB", 312e12, 80e9, 2.04e12),
    "h100": StatedDevice("H100 SXM, 80 GB", 989e12, 80e9, 3.35e12),
    "h200": StatedDevice("H200, 141 GB", 989e12, 141e9, 4.8e12),
}


@dataclass(frozen=True)
class PromptSample:
    """One question as a model would read it in an arm; the note says why passages are missing."""

    model: str
    task: str
    arm: str
    question_id: str
    prompt: str
    prompt_tokens: int
    note: str = ""


@dataclass(frozen=True)
class CostEstimate:
    """Cost of a model in this run; None where its size is unknown.

    Attributes:
        prompts: Number of prompts.
        prompt_tokens: Approximate tokens of all prompts; a full budget where passages are unknown.
        reply_tokens: Maximum tokens generated.
        weight_bytes: Bytes of the weights in their number format.
        seconds: Time on the device: prompts at 40 % of the peak speed of a matrix product; replies,
            one at a time, at half the memory bandwidth of a stated device.
        device: Device of the time estimate.
        devices: Number of devices that hold 1.2 times the weights.
    """

    model: str
    prompts: int
    prompt_tokens: int
    reply_tokens: int
    weight_bytes: int | None
    seconds: float | None
    device: str = ""
    devices: int | None = None


@dataclass(frozen=True, slots=True)
class PrimaryArm:
    """The retrieval arm that the primary effects of a task are of, and why it is that one."""

    task: str
    arm: str
    why: str


@dataclass(frozen=True, slots=True)
class OptionMass:
    """Mean probability of all letters together as the start of a reply to a few sample prompts."""

    model: str
    task: str
    mass: float
    prompts: int


@dataclass
class Plan:
    """Plan of a run."""

    cells: list[tuple[str, str, str, int]] = field(default_factory=list)
    primary: list[PrimaryArm] = field(default_factory=list)
    to_build: list[str] = field(default_factory=list)
    samples: list[PromptSample] = field(default_factory=list)
    estimates: list[CostEstimate] = field(default_factory=list)
    masses: list[OptionMass] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lacking: list[Missing] = field(default_factory=list)
    not_built: list[str] = field(default_factory=list)


def make_plan(grid: Grid, *, device: str = "") -> Plan:
    """Return the plan of an experiment; no part is built and no answer is kept.

    A small local model, or one behind a server, scores the letters of a few sample prompts.

    Args:
        grid: The experiment; the missing parts of an ``OfflineGrid`` are listed.
        device: Device of the time estimates, by its name in ``DEVICES``; empty for this machine.

    Raises:
        UsageError: A prompt with a full budget of passages would not fit a model's context, or the
            device is unknown.
    """
    stated = device_of(device) if device else None
    grid.check_supported()
    plan = Plan(to_build=grid.missing(), notes=grid.unlike(), not_built=list(grid.config.not_built))
    plan.primary = list(_primary(grid))
    for spec in grid.config.models:
        model = grid.models[spec.name]
        total = prompts = replies = 0
        for task in grid.tasks:
            longest = _longest_closed_book(model, task)
            mean = _mean_closed_book(model, task)
            samples = _samples(grid, spec.name, task)
            plan.samples += samples
            n = len(task.questions)
            for arm in arms_of(grid.config, task):
                budget = arm.budget_tokens or grid.config.packing.budget_tokens
                passages = 0 if arm.kind == CLOSED_BOOK else budget
                _check_fit(spec.name, model, task, arm.name, longest, passages)
                plan.cells.append((spec.name, task.spec.name, arm.name, n))
                prompts += n
                total += n * _mean_prompt([s for s in samples if s.arm == arm.name], mean, passages)
                replies += task.reply_limit * n if task.scoring == "generate" else 0
        estimate = _estimate(spec.name, model, prompts, total, replies, stated)
        plan.estimates.append(estimate)
        _weigh_letters(plan, grid, spec.name, estimate)
        generates = any(task.scoring == "generate" for task in grid.tasks)
        if generates and model.facts().template_day == UNPINNED:
            plan.notes.append(
                f"warning: {spec.name}: the server's chat template writes the day into each "
                "prompt, which no request changes; a run that is resumed on another day mixes "
                "prompts of both"
            )
    if isinstance(grid, OfflineGrid):
        plan.lacking = grid.lacking
    return plan


def _primary(grid: Grid) -> Iterator[PrimaryArm]:
    """Yield the primary arm of each task that has one, before any prompt is known."""
    declared = grid.config.analysis.primary
    for task in grid.tasks:
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


def _longest_closed_book(model: Model, task: TaskPart) -> tuple[int, str]:
    """Return the maximum tokens of a prompt without passages and its reply, and its question."""
    worst = max(task.questions, key=lambda q: len(q.text) + sum(len(o) for o in q.options))
    size = model.count_tokens(_prompt(model, task, worst, [])) + reserve(model, task, worst)
    return size, worst.id


def _mean_closed_book(model: Model, task: TaskPart) -> int:
    some = task.questions[:: max(1, len(task.questions) // 20)]
    return sum(model.count_tokens(_prompt(model, task, q, [])) for q in some) // len(some)


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


def _samples(grid: Grid, model_name: str, task: TaskPart) -> list[PromptSample]:
    """Render three questions in each arm, with passages if the index is built."""
    model = grid.models[model_name]
    samples: list[PromptSample] = []
    chosen = task.questions[:: max(1, len(task.questions) // SAMPLES)][:SAMPLES]
    for arm in arms_of(grid.config, task):
        given, note = _given(grid, arm, task, chosen)
        for question in chosen:
            prompt = _prompt(model, task, question, given.get(question.id, []))
            size = model.count_tokens(prompt)
            samples.append(
                PromptSample(model_name, task.spec.name, arm.name, question.id, prompt, size, note)
            )
    return samples


def _given(
    grid: Grid, arm: ArmSpec, task: TaskPart, questions: list[Question]
) -> tuple[dict[str, list[Passage]], str]:
    """Return the passages of some questions, or a note why they are not shown."""
    source = source_of(grid.config, arm, task)
    if source is None:
        return {}, ""
    if arm.kind == DOCUMENTS or arm.within == DOCUMENTS:
        return {}, "the question's own documents; the run chooses them when it packs"
    if arm.control is not None:
        return {}, f"a control of {arm.like}; the run chooses its passages when it packs"
    if len(source.parts) != 1:
        return {}, "the run ranks its passages when it retrieves"
    name = source.parts[0].name
    if not indexes.is_built(name):
        return {}, f"without passages, as {name} is not built yet"
    return _retrieved(grid, name, questions, arm), ""


def _retrieved(
    grid: Grid, index_name: str, questions: list[Question], arm: ArmSpec
) -> dict[str, list[Passage]]:
    index = indexes.open_index(index_name)
    context = Context(
        task="",
        corpus=index.corpus,
        ranked={},
        gold={},
        like={},
        like_spec=None,
        count_tokens=grid.reference_model.count_tokens,
        budget_tokens=arm.budget_tokens or grid.config.packing.budget_tokens,
        seed=grid.config.seed,
    )
    hits = index.search([question.query for question in questions], arm.asked)
    passages = ((index.corpus[hit.row] for hit in found) for found in hits)
    return {
        question.id: list(pack(found, context, order=arm.order).passages)
        for question, found in zip(questions, passages, strict=True)
    }


def _weigh_letters(plan: Plan, grid: Grid, name: str, estimate: CostEstimate) -> None:
    """Add the mass on the letters of a model's sample prompts, and a warning if it is tiny."""
    tasks = [task for task in grid.tasks if task.scoring == "letters"]
    model = grid.models[name]
    facts = model.facts()
    held = estimate.weight_bytes
    if not tasks or facts.stands_in or held == 0:  # a scripted model has no probabilities
        return
    if facts.served is None and (held is None or held > QUICKLY_LOADED):
        plan.notes.append(
            f"{name}: the plan does not load its weights, so the report alone has the probability "
            "of the letters"
        )
        return
    for task in tasks:
        samples = [s for s in plan.samples if (s.model, s.task) == (name, task.spec.name)]
        asked = {s.prompt: s.question_id for s in samples if s.arm == samples[0].arm}
        options = {question.id: question.options for question in task.questions}
        choices = [Choice(p, letters(len(options[q]))) for p, q in asked.items()]
        try:
            found = model.score_batch(choices)
        except PrerequisiteError as error:  # weights that cannot be loaded; the run refuses them
            plan.notes.append(f"{name}: the letters could not be scored: {error.what}")
            return
        failed = next((x for x in found if isinstance(x, BackendError)), None)
        if failed is not None:
            plan.notes.append(f"{name} on {task.spec.name}: a sample prompt failed: {failed.what}")
            continue
        masses = [option_mass(x.log_likelihoods) for x in found if isinstance(x, OptionScores)]
        mass = sum(masses) / len(masses)
        plan.masses.append(OptionMass(name, task.spec.name, mass, len(masses)))
        if mass < LEAST_MASS:
            plan.notes.append(
                f"warning: {name} on {task.spec.name}: all letters together have "
                f"{small_share(mass)} of the probability of the reply's start in {len(masses)} "
                "sample prompts. The model would write something else: check the prompt format, "
                "or use scoring: generate"
            )
    model.release()


def _mean_prompt(samples: list[PromptSample], closed_book: int, passages: int) -> int:
    """Return an arm's mean prompt tokens; with a full budget where passages are unknown."""
    if any(sample.note for sample in samples) or not samples:
        return closed_book + passages
    return max(closed_book, sum(sample.prompt_tokens for sample in samples) // len(samples))


def device_of(name: str) -> StatedDevice:
    """Return a device by its name; UsageError if there is none."""
    if name not in DEVICES:
        raise UsageError(f"there is no device {name!r}", fix=near(name, DEVICES))
    return DEVICES[name]


def _estimate(
    name: str, model: Model, prompts: int, tokens: int, replies: int, stated: StatedDevice | None
) -> CostEstimate:
    facts = model.facts()
    parameters, dtype = facts.parameters, str(facts.dtype)
    if parameters is None:
        return CostEstimate(name, prompts, tokens, replies, None, None)
    if parameters == 0:
        return CostEstimate(name, prompts, tokens, replies, 0, 0.0, "no weights")
    held = parameters * (4 if dtype == "float32" else 2)
    if stated is not None:
        count = math.ceil(held * 1.2 / stated.memory)
        reading = 2.0 * parameters * tokens / (stated.products_per_s * GEMM_SHARE * count)
        writing = replies * held / (stated.bytes_per_s * 0.5 * count)
        return CostEstimate(
            name, prompts, tokens, replies, held, reading + writing, stated.title, count
        )
    if facts.stands_in:
        return CostEstimate(name, prompts, tokens, replies, held, None)
    speed = _products_per_s(str(facts.device), dtype) * GEMM_SHARE
    seconds = 2.0 * parameters * (tokens + replies) / speed
    return CostEstimate(name, prompts, tokens, replies, held, seconds, "this machine")


def _products_per_s(device: str, dtype: str) -> float:
    """Return the measured FLOP/s of a plain matrix product."""
    import torch

    from ragbench.base.devices import torch_dtype

    side = 1024 if device == "cpu" else 8192
    left = torch.ones((side, side), dtype=torch_dtype(dtype), device=device)
    _ = left @ left
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < 0.2:
        _ = float((left @ left)[0, 0])
        count += 1
    return 2.0 * side**3 * count / (time.perf_counter() - started)
