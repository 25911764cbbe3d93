"""Charts of the primary effects of a run that may stop early, from look to look."""

from __future__ import annotations

import math

from ragbench.analysis.family import OF_PAIR
from ragbench.analysis.load import Run
from ragbench.report.charts.chart import Chart, Value, chart
from ragbench.runfolder.looks.stopped import EffectDecision


def trajectory_charts(run: Run) -> list[Chart]:
    """Return a chart per effect, task and arm, with a line per model; the axis below doubles."""
    stopped = run.stopped
    if stopped is None:
        return []
    groups: dict[tuple[str, str, str], list[EffectDecision]] = {}
    for effect in stopped.effects:
        groups.setdefault((effect.effect, effect.task, effect.arm), []).append(effect)
    made = []
    for number, ((name, task, arm), members) in enumerate(groups.items()):
        lines = {effect.model: _values(effect) for effect in members}
        asked = sorted({look.n for effect in members for look in effect.looks if look.n})
        if not asked:
            continue
        found = chart(
            f"trajectory-{number}",
            f"{OF_PAIR.get(name, name)} of {arm} on {task} by the number of questions",
            "One line per model with its sequence, which is valid at all looks together; a line "
            "ends where the effect was no longer asked. trajectory.csv holds the same figures.",
            lines,
            [(f"{n:,}", math.log2(n)) for n in asked],
            below="questions",
        )
        if found is not None:
            made.append(found)
    return made


def _values(effect: EffectDecision) -> list[Value]:
    """Return the looks at an effect; those at the same questions once, as the last one said."""
    last = {look.n: look for look in effect.looks if look.n and look.estimate is not None}
    return [Value(math.log2(n), k.estimate or 0.0, k.low, k.high) for n, k in last.items()]
