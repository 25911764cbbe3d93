"""The answer of a run in one sentence, and its verdict in at most four plain lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ragbench.analysis.family import (
    BASELINE,
    BOTH,
    FINE_TUNING,
    GAIN,
    OF_PAIR,
    RETRIEVAL_OR_FINE_TUNING,
)
from ragbench.report.tables import between, percent, points
from ragbench.report.verdict.card import (
    BOUNDS,
    EQUIVALENT,
    SHOWN,
    UNTESTED,
    Card,
    Number,
)
from ragbench.report.verdict.delivered import listed

MOST_LINES = 4
AVERAGED = " on average"
MOST_TASKS = 3  # with more, a line gives the smallest and the largest
# What is said of an effect that is above zero, below it, and of one that is equivalent to it.
ANSWERS = {
    RETRIEVAL_OR_FINE_TUNING: (
        "retrieval did better than fine-tuning",
        "fine-tuning did better than retrieval",
        "retrieval and fine-tuning did equally well",
        "no difference between retrieval and fine-tuning is shown",
    ),
    GAIN: (
        "retrieval helped",
        "retrieval hurt",
        "retrieval changed nothing",
        "no effect of retrieval is shown",
    ),
    FINE_TUNING: (
        "fine-tuning helped",
        "fine-tuning hurt",
        "fine-tuning changed nothing",
        "no effect of fine-tuning is shown",
    ),
    BOTH: (
        "with retrieval, the biomedical model did better than the general one",
        "with retrieval, the general model did better than the biomedical one",
        "with retrieval, both models did equally well",
        "with retrieval, no difference between the models is shown",
    ),
}


def sentence_of(cards: Sequence[Card], margin: float) -> str:
    """Return the answer of a run in one sentence.

    Args:
        cards: The cards of the run.
        margin: The margin of equivalence, as a difference of rates.
    """
    subjects = list(dict.fromkeys(card.name for card in cards))
    tasks = [card for card in cards if not card.is_average]
    effect = _asked(tasks)
    if effect is None:
        return "The run shows accuracies alone: it compares no arms and no models."
    found = _numbers(tasks, effect)
    if all(number.state == UNTESTED for _, number in found):  # it may be that of a stopped run
        found = _numbers([card for card in cards if card.is_average], effect) or found
    text = _by_task(effect, found, margin) if len(subjects) == 1 else _counted(effect, found)
    return f"{text[:1].upper()}{text[1:]}."


def _numbers(cards: Sequence[Card], effect: str) -> list[tuple[Card, Number]]:
    return [(card, number) for card in cards if (number := card.number(effect)) is not None]


def lines_of(cards: Sequence[Card], limits: Sequence[str], coverage: str) -> Iterator[str]:
    """Yield at most four lines: by effect for one pair, else by pair; then limits, at least one.

    Args:
        cards: The cards of the run.
        limits: What cannot be said, most important first.
        coverage: Coverage of the intervals, which the first line names.
    """
    said = list(_findings(cards, coverage))
    yield from said
    room = max(1, MOST_LINES - len(said))
    for i, limit in enumerate(limits[:room]):
        more = len(limits) - room if i == room - 1 else 0
        yield f"{limit} {more} more in the report." if more > 0 else limit


def _findings(cards: Sequence[Card], coverage: str) -> Iterator[str]:
    subjects = list(dict.fromkeys(card.name for card in cards))
    if len(subjects) == 1:
        yield from _of_effects(cards, coverage)
        return
    shown = subjects if len(subjects) < MOST_LINES else subjects[: MOST_LINES - 2]
    for i, name in enumerate(shown):
        mine = [card for card in cards if card.name == name]
        yield _of_subject(mine, "" if i else f"{coverage} interval ")
    if len(shown) < len(subjects):
        yield f"{len(subjects) - len(shown)} more are in the report."


def words(number: Number, *, where: str = "", named: str = "") -> str:
    """Return an effect in points with its interval, and what may be concluded from it.

    Args:
        number: The effect.
        where: Text after its figures, such as `` on average``.
        named: Text before its interval, such as ``95 % interval ``.
    """
    ends = between(number.low, number.high, points)
    if number.state == BOUNDS:
        ends = ends.replace(" to ", " and ")
        return f"between {ends} points{where}, because answers are missing"
    if number.state == UNTESTED:
        return f"{points(number.estimate)} points{where}, not tested"
    text = f"{points(number.estimate)} points ({named}{ends}){where}"
    if number.state == SHOWN:
        return f"{text}, small" if number.is_small else text
    return f"{text}, {number.state}"


def _asked(cards: Sequence[Card]) -> str | None:
    """Return the effect that answers the question of a run, or what is left of it."""
    return next((e for e in ANSWERS if any(card.number(e) for card in cards)), None)


def _by_task(effect: str, found: Sequence[tuple[Card, Number]], margin: float) -> str:
    """Return on which tasks an effect is above zero, below it, equivalent to it, or not shown."""
    better, worse, equal, unknown = ANSWERS[effect]
    within = f"{100 * margin:g} points"
    texts = [better, f"{better} by less than {within}", worse, f"{worse} by less than {within}"]
    texts += [f"{equal}, within {within},", unknown]
    tasks: dict[str, list[str]] = {text: [] for text in texts}
    for card, number in found:
        place = 4 if number.state == EQUIVALENT else 5
        if number.state == SHOWN:
            place = 2 * (number.estimate < 0) + number.is_small
        tasks[texts[place]].append("average" if card.is_average else card.task)
    on = {text: _on(mine, len(found), is_none=text == unknown) for text, mine in tasks.items()}
    return "; ".join(f"{text} {on[text]}" for text, mine in tasks.items() if mine)


def _on(tasks: Sequence[str], every: int, *, is_none: bool) -> str:
    if len(tasks) == every > 1 and is_none:
        return "on either task" if every == 2 else f"on any of {every} tasks"
    if len(tasks) == every > 1:
        return "on both tasks" if every == 2 else f"on all {every} tasks"
    return f"on {len(tasks)} of {every} tasks" if len(tasks) > MOST_TASKS else f"on {_and(tasks)}"


def _and(names: Sequence[str]) -> str:
    return listed(list(names)) if names else ""


def _counted(effect: str, found: Sequence[tuple[Card, Number]]) -> str:
    """Return in how many of the comparisons of several pairs, or models, an effect is shown."""
    better, worse, *_ = ANSWERS[effect]
    up = sum(number.state == SHOWN and number.estimate > 0 for _, number in found)
    down = sum(number.state == SHOWN and number.estimate < 0 for _, number in found)
    better += AVERAGED if found[0][0].is_average else ""
    text = f"{better} in {up} of {len(found)} comparisons"
    if down:
        text += f"; {worse} in {down}"
    number = len({card.name for card, _ in found})
    kind = "pair" if found[0][0].biomedical else "model"
    return f"{text} ({number} {kind}{'' if number == 1 else 's'})"


def _of_effects(cards: Sequence[Card], coverage: str) -> Iterator[str]:
    """Yield a line per effect of one pair or model."""
    named = f"{coverage} interval "
    tasks = [card for card in cards if not card.is_average]
    average = next((card for card in cards if card.is_average), None)
    for effect in (GAIN, FINE_TUNING, RETRIEVAL_OR_FINE_TUNING, BOTH):
        own = [(card, number) for card in tasks if (number := card.number(effect)) is not None]
        if not own:
            continue
        main = average.number(effect) if average else None
        if main is None and len(own) > 1:
            yield f"{_label(tasks[0], own[0][1])}: {_parts(own)}."
            continue
        card, number = own[0] if main is None else (average or tasks[0], main)
        where = "" if main is None else AVERAGED
        text = f"{_label(card, number)}: {words(number, where=where, named=named)}"
        named = ""
        if len(own) > 1:
            text += f"; {_parts(own)}"
        if effect == FINE_TUNING and 0 < len(card.strata) <= MOST_TASKS:
            text += "; " + ", ".join(f"{s.stratum} {_short(s)}" for s in card.strata)
        yield f"{text}."
    if not any(card.numbers for card in tasks):
        for card in tasks[:MOST_TASKS]:
            rates = ", ".join(f"{c.model} {percent(c.value)} ({c.arm})" for c in card.cells)
            yield f"{card.metric.capitalize()} on {card.task}: {rates}."


def _of_subject(cards: Sequence[Card], named: str) -> str:
    """Return the line on one of several pairs or models."""
    average = next((card for card in cards if card.is_average), None)
    tasks = [card for card in cards if not card.is_average]
    effect = _asked(cards)
    if effect is None:
        return f"{cards[0].name}: nothing is compared."
    main = average.number(effect) if average else None
    own = [(card, number) for card in tasks if (number := card.number(effect)) is not None]
    text = _parts(own)
    if main is not None:
        text = words(main, where=AVERAGED, named=named)
    elif len(own) == 1:
        text = words(own[0][1], where=f" on {own[0][0].task}", named=named)
    return f"{cards[0].name}: {OF_PAIR[effect]} {text}."


def _label(card: Card, number: Number) -> str:
    """Return what an effect compares, in plain words."""
    arm = card.arm or number.arm
    where = "in the general model" if card.biomedical else f"in {card.general}"
    return {
        OF_PAIR[GAIN]: f"Retrieval ({arm}) {where}",
        OF_PAIR[FINE_TUNING]: f"Fine-tuning, {BASELINE}",
        OF_PAIR[RETRIEVAL_OR_FINE_TUNING]: f"General model with {arm} less biomedical one without",
        OF_PAIR[BOTH]: f"Biomedical less general model, both with {arm}",
    }[number.effect]


def _parts(own: Sequence[tuple[Card, Number]]) -> str:
    """Return an effect by task; of many tasks the smallest and the largest."""
    if len(own) <= MOST_TASKS:
        return ", ".join(f"{card.task} {_short(number)}" for card, number in own)
    known = [(card, number) for card, number in own if not math.isnan(number.estimate)]
    shown = sum(number.state == SHOWN for _, number in own)
    text = f"shown on {shown} of {len(own)} tasks"
    if known:
        ends = [choose(known, key=lambda pair: pair[1].estimate) for choose in (min, max)]
        least, most = (f"{points(number.estimate)} ({card.task})" for card, number in ends)
        text += f", from {least} to {most}"
    return text


def _short(number: Number) -> str:
    if number.state == BOUNDS:
        return words(number)
    text = points(number.estimate)
    return text if number.state == SHOWN else f"{text} ({number.state})"
