"""``ragbench plan``: shows what a run would do, on one screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from ragbench.cli.output import echo, emit_json, emit_table, size

if TYPE_CHECKING:
    from ragbench.experiment.config.config import Config
    from ragbench.experiment.planning.builds import BuildEstimate
    from ragbench.experiment.planning.cost import CostEstimate
    from ragbench.experiment.planning.offline import Missing
    from ragbench.experiment.planning.plan import Plan
    from ragbench.experiment.planning.weighing import PromptSample

WIDTH = 80
WARNING = "warning: "
ROWS = 38  # of a screen
FEW = 3  # builds, of which --all shows the rest
SEVERAL = {"model": "models", "task": "tasks", "corpus": "corpora", "index": "indexes"}
ADDRESS = re.compile(r"https?://[^\s;,)]+")
EXPECTED = re.compile(r"expected: (\S+)")
OF_HUB = ("check the path or id", "accept its terms at the hub")
DISCORDANT = 0.3  # share of questions that the note on stopping assumes
DIFFERENCES = (0.05, 0.1, 0.2)


@click.command()
@click.argument("config")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the config; repeatable.",
)
@click.option(
    "--tokenizer", help="Tokenizer that counts tokens for models that are not on this machine."
)
@click.option(
    "--device",
    default="",
    help="Device of the time estimates, such as h100 (default: this machine).",
)
@click.option(
    "--prompts", type=click.IntRange(0), default=0, help="Show N prompts of each task.", metavar="N"
)
@click.option(
    "--discordant",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of questions that only one of two arms answers right, for a run that may stop "
    "early (default: as in the latest run with the task and a model, else 0.3).",
)
@click.option("--all", "whole", is_flag=True, help="Show every cell, model, note and prompt.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    config: str,
    overrides: tuple[str, ...],
    tokenizer: str | None,
    device: str,
    prompts: int,
    discordant: float | None,
    whole: bool,
    as_json: bool,
) -> None:
    """Show what a run of CONFIG would take and what is missing, without running it.

    If something is missing that the run needs, the plan ends with the run's error and exit code.
    """
    from dataclasses import asdict

    from ragbench.experiment.config.config import load_config
    from ragbench.experiment.planning.offline import OfflineGrid
    from ragbench.experiment.planning.plan import make_plan

    grid = OfflineGrid(*load_config(config, overrides), tokenizer=tokenizer)
    made = make_plan(grid, device=device)
    made.notes += stop_notes(grid.config, made, discordant)
    if as_json:
        emit_json(asdict(made))
    else:
        print_plan(made, prompts=prompts, whole=whole)
    if grid.refusals:
        raise grid.refusals[0]


def stop_notes(config: Config, made: Plan, discordant: float | None = None) -> Iterator[str]:
    """Yield the questions per task that a run asks until an effect of some size is decided."""
    from ragbench.analysis.needed import former_share
    from ragbench.analysis.statistics.sequential.decide import Rules
    from ragbench.analysis.statistics.sequential.foreseen import questions_until_decided

    said = config.analysis
    if said.stop is None:
        return
    margin = said.stop.margin or said.equivalence_margin
    rules = Rules(alpha=said.alpha, margin=margin, least=said.stop.min_questions)
    models = {model for model, *_ in made.cells}
    for task, n in dict.fromkeys((task, n) for _, task, _, n in made.cells if n):
        former = None if discordant else former_share(task, models)
        share, source = discordant or DISCORDANT, "stated" if discordant else "assumed"
        if former is not None and former.discordant > 0:
            share, source = former.discordant, f"as in the run {former.run}"
        parts = []
        for difference in (d for d in (0.0, *DIFFERENCES) if d <= share):
            found = questions_until_decided(
                difference, share, n or 0, rules, every=max(10, (n or 0) // 50), repeats=200
            )
            parts.append(
                f"{found.mean:,.0f} ({100 * found.mean / (n or 1):.0f} %) for a true difference of "
                f"{100 * difference:g} points"
            )
        yield (
            f"{task}: instead of {n:,} questions, a comparison of two cells is expected to ask "
            f"{', '.join(parts)} until it is decided, and as much of the tokens, if "
            f"{100 * share:.3g} % of the questions are discordant ({source}); more with several "
            "effects"
        )


def print_plan(made: Plan, *, prompts: int, whole: bool) -> None:
    """Print a plan: totals, what is missing, what is built first, and what to know."""
    lines = [*totals(made)]
    if made.missing:
        lines += ["", "missing, and how to get it:"]
        lines += missing_whole(made.missing) if whole else missing_lines(made.missing)
    if made.builds:
        lines += ["", *build_lines(made.builds, most=len(made.builds) if whole else FEW)]
        lines += [f"  {line}" for line in made.to_build] if whole else []
    elif not made.missing:
        lines += ["", "everything is built"]
    warned = [line for line in made.notes if line.startswith(WARNING)]
    notes = [*warned, *_primary_lines(made), *made.deliveries]  # the last are left out first
    notes += [*(f"note: {line}" for line in made.notes if line not in warned)]
    notes += map(_not_yet, made.not_built)
    shown = [_wrapped(note, indent=4) for note in notes]
    room = max(ROWS - len(lines) - 4, 2)
    while not whole and len(shown) > 1 and sum(map(len, shown)) > room:
        shown.pop()
    lines += ["", *(line for note in shown for line in note)] if notes else []
    if len(shown) < len(notes):
        lines.append(f"  ... and {len(notes) - len(shown):,} more (--all)")
    for line in lines:
        echo(line)
    if whole:
        _print_whole(made)
    for sample in made.samples if whole else _first(made.samples, prompts):
        note = f" ({sample.note})" if sample.note else ""
        echo(
            f"\n== {sample.model}, {sample.task}, {sample.arm}, {sample.question_id}: "
            f"{sample.prompt_tokens:,} tokens{note} ==\n{sample.prompt}"
        )
    if not whole and not prompts:
        echo("\n--prompts N: N prompts per task; --all: everything; --json: the data")


def build_lines(builds: Sequence[BuildEstimate], *, most: int) -> Iterator[str]:
    """Yield what a run builds first, the largest first: passages, disk and time."""
    yield f"{'built by the run first, about:':<46}{'passages':>12}{'disk':>11}{'time':>11}"
    ordered = sorted(builds, key=lambda build: -(build.disk or 0))
    for build in ordered[:most]:
        name = build.what if len(build.what) <= 42 else build.what[:39] + "..."
        passages = "unknown" if build.passages is None else f"{build.passages:,}"
        disk = "unknown" if build.disk is None else size(build.disk)
        time = "unknown" if build.seconds is None else duration(build.seconds)
        yield f"  {name:<44}{passages:>12}{disk:>11}{time:>11}"
    if len(ordered) > most:
        yield f"  ... and {len(ordered) - most:,} more (--all)"


def totals(made: Plan) -> Iterator[str]:
    """Yield the lines on top: prompts, tokens, time, money, disk, and the budget of passages."""
    models, tasks, arms = (len({cell[i] for cell in made.cells}) for i in range(3))
    least = "at least " if made.unknown_tasks else ""
    prompts = sum(e.prompts for e in made.estimates)
    known = prompts > 0
    counted = f"{least}{prompts:,} prompts" if known else "unknown number of prompts"
    grid = ((models, "model"), (tasks, "task"), (arms, "arm"))
    cells = ", ".join(f"{number} {name}{'s' * (number != 1)}" for number, name in grid)
    yield f"{made.name}: {cells}, {counted}"
    read = sum(e.sent_tokens or e.prompt_tokens for e in made.estimates)
    written = sum(e.reply_tokens for e in made.estimates)
    text = f"{least}about {count(read)} read, at most {count(written)} written"
    yield _line("tokens", text if known else "unknown")
    yield from _wrapped(_line("time", _time(made, known)), indent=12)
    yield from _wrapped(_line("money", _money(made, known)), indent=12)
    disks = [build.disk for build in made.builds]
    disk = sum(value for value in disks if value is not None)
    weights = sum(e.weight_bytes or 0 for e in made.estimates)
    text = f"{size(disk)} to build" if made.builds else "nothing to build"
    if None in disks:
        text = f"at least {text}" if disk else "unknown to build"
    yield _line("disk", f"{text}; weights of the models {size(weights) if weights else 'none'}")
    budget = f"{made.budget_tokens:,} tokens of passages per prompt ({made.budget_why})"
    yield from _wrapped(_line("packing", budget), indent=12)
    if made.unknown_tasks or made.assumed_tasks:
        text = ""
        if made.assumed_tasks:
            text = f"{len(made.assumed_tasks)} tasks by their published number of questions"
        if made.unknown_tasks:
            text += "; " * bool(text) + f"unknown: {', '.join(made.unknown_tasks)}"
        yield from _wrapped(_line("assumed", text), indent=12)


def _line(name: str, text: str) -> str:
    return f"  {name:<10}{text}"


def _time(made: Plan, known: bool) -> str:
    times = [e.seconds for e in made.estimates]
    building = [build.seconds for build in made.builds]
    built = sum(value for value in building if value is not None)
    least = "at least " if made.unknown_tasks or None in (*times, *building) else ""
    seconds = sum(value for value in times if value is not None)
    devices = dict.fromkeys(
        e.device + f" ({e.rate})" * bool(e.rate) for e in made.estimates if e.seconds
    )
    unfit = [e.model for e in made.estimates if e.unfit]
    if unfit and not any(times):
        return f"none: {_names(unfit)} would not fit"
    if not known or not any(value is not None for value in times):
        served = any(e.requests is not None for e in made.estimates)
        how = "`questions_per_s` of a model states it" if served else "--device h100 estimates it"
        no_size = not served and all(e.weight_bytes is None for e in made.estimates)
        advice = "" if devices or not known or no_size else f" ({how})"
        return f"unknown{advice}" + (f"; builds {least}{duration(built)}" if built else "")
    text = f"{least}about {duration(seconds)}" if seconds else "seconds"
    if devices:
        most = max((e.devices or 1 for e in made.estimates), default=1)
        text += f" on {', '.join(devices)}" + (f", up to {most} at once" if most > 1 else "")
    if made.builds:
        text += f"; builds {'at least ' * (None in building)}{duration(built)}"
    return text


def _money(made: Plan, known: bool) -> str:
    from ragbench.experiment.answering.spending import limit_text
    from ragbench.runfolder.config import money_text

    own = [e.model for e in made.estimates if e.own_machine]
    if len(own) == len(made.estimates):
        return "0 (own machine)"
    priced = [e.money for e in made.estimates if e.money is not None]
    unknown = [e.model for e in made.estimates if e.money is None]
    if not known or len(priced) == len(own):
        return f"unknown: no price of {_names(unknown)}" if unknown else "unknown"
    least = "at least " if made.unknown_tasks or unknown else "at most "
    amount = money_text(sum(priced))
    least = "" if amount.startswith("under") and least == "at most " else least
    text = f"{least}{amount} {made.currency}"
    if unknown:
        text += f", without {_names(unknown)} (no price)"
    if made.max_cost is not None and sum(priced) > made.max_cost:
        text += f"; the run stops at {limit_text(made.max_cost)}"
    return text


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def count(number: float) -> str:
    """Return a number in thousands, millions or billions."""
    for unit, name in ((1e9, " billion"), (1e6, " million"), (1e4, None)):
        if number >= unit:
            return f"{number / unit:.1f}{name}" if name else f"{number / 1000:.0f},000"
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """Return a time in seconds, minutes, or from two hours on in hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36e4 else f"{seconds / 3600:,.0f} h"


def missing_lines(missing: Sequence[Missing]) -> Iterator[str]:
    """Yield one line per missing thing; tasks of one file, and models of the hub, share one."""
    groups: dict[tuple[str, str], list[str]] = {}
    for part in missing:
        kind, _, name = part.what.partition(" ")
        groups.setdefault((kind, _how(kind, part)), []).append(name)
    for (kind, how), names in groups.items():
        if kind == "model" and len(names) > 3:
            named = f"{len(names)} models ({names[0]}, ...)"
        else:
            several = SEVERAL[kind] if len(names) > 1 else kind
            named = f"{several} {', '.join(dict.fromkeys(names))}"
        whole = f"  {named}: {how}"
        short = whole.partition(" -> ")[0]  # where to put it: with --all
        line = whole if len(whole) <= WIDTH else short
        yield line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."


def _how(kind: str, part: Missing) -> str:
    """Return how to get a missing thing, in a few words."""
    if kind == "model" and part.fix.startswith(OF_HUB):
        return f"{'accept its terms, log in, then ' * part.gated}hf download ID"
    if part.downloaded:
        return f"hf download {part.reason.partition(' ')[0]}"
    address, place = ADDRESS.findall(part.fix), EXPECTED.search(part.fix)
    if place or address:
        get = address[-1] if address else part.fix.partition(":")[0].partition(";")[0]
        get = get.removeprefix("https://").removeprefix("http://").rstrip("/")
        return f"{get} -> {place[1]}" if place else get
    return part.fix.partition(";")[0] or part.reason


def missing_whole(missing: Iterable[Missing]) -> Iterator[str]:
    """Yield what is missing with the whole reasons and remedies."""
    for part in missing:
        yield f"  {part.what}: {part.reason}"
        yield f"    {part.fix}"


def _primary_lines(made: Plan) -> Iterator[str]:
    """Yield the primary arms; tasks with the same arm for the same reason share a line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for chosen in made.primary:
        groups.setdefault((chosen.arm, chosen.why), []).append(chosen.task)
    if len(groups) > 2:
        (first, n), *others = ((arm, len(tasks)) for (arm, _), tasks in groups.items())
        rest = "".join(f", {arm} on {number}" for arm, number in others)
        yield f"primary arms: {first} on {n} tasks{rest}"
        return
    for (arm, why), tasks in groups.items():
        named = tasks[0] if len(tasks) == 1 else f"{len(tasks)} tasks ({tasks[0]}, ...)"
        yield f"primary arm of {named}: {arm} ({why})"


def _not_yet(line: str) -> str:
    return f"not available in ragbench yet: {line}"


def _first(samples: Iterable[PromptSample], n: int) -> Iterator[PromptSample]:
    """Yield n prompts of each task, of the first model, the arms in turn."""
    by_task: dict[str, list[PromptSample]] = {}
    first: dict[str, str] = {}
    for sample in samples:
        if first.setdefault(sample.task, sample.model) == sample.model:
            by_task.setdefault(sample.task, []).append(sample)
    for found in by_task.values():
        seen: dict[str, int] = {}
        for sample in found:
            seen[sample.arm] = seen.get(sample.arm, 0) + 1
        with_passages = [s for s in found if not s.note and "passages:" in s.prompt]
        yield from [*with_passages, *(s for s in found if s not in with_passages)][:n]


def _wrapped(text: str, *, indent: int = 2) -> list[str]:
    start = text[: len(text) - len(text.lstrip())]
    return wrap(
        text.strip(),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _print_whole(made: Plan) -> None:
    """Print the tables of cells, builds and models."""
    echo()
    emit_table(["model", "task", "arm", "questions"], [_known(cell) for cell in made.cells])
    echo()
    header = ["model", "prompts", "prompt tokens, about", "reply tokens, at most"]
    header += ["memory of weights", "time, about", "on", f"{made.currency}, at most"]
    emit_table(header, [_model_row(e) for e in made.estimates])


def _known(cell: Sequence[object]) -> list[object]:
    return ["unknown" if value is None else value for value in cell]


def _model_row(found: CostEstimate) -> list[str]:
    from ragbench.runfolder.config import money_text

    money = "unknown" if found.money is None else money_text(found.money)
    known = found.prompts > 0
    return [
        found.model,
        f"{found.prompts:,}" if known else "unknown",
        f"{found.prompt_tokens:,}" if known else "unknown",
        f"{found.reply_tokens:,}" if known else "unknown",
        "unknown" if found.weight_bytes is None else size(found.weight_bytes),
        "unknown" if found.seconds is None or not known else duration(found.seconds),
        f"{found.devices} x {found.device}" if found.devices else found.device,
        "0 (own machine)" if found.own_machine else money if known else "unknown",
    ]
