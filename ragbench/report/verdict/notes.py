"""What the tasks, the pairs and the prompts of a run need noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ragbench.analysis.load import Run
from ragbench.base.records import LEAST_MASS, small_share
from ragbench.runfolder.pairs import differences, pairs_of


def notes(run: Run) -> list[str]:
    """Return the notes of tasks, the differences within pairs, and cells with unlikely letters."""
    identity = run.about.identity
    shared: dict[str, list[str]] = {}
    for name, task in identity.tasks.items():
        if task.note:
            shared.setdefault(task.note.rstrip("."), []).append(name)
    found = [f"Note on {', '.join(names)}: {note}." for note, names in shared.items()]
    for name, task in identity.tasks.items():
        reasons = Counter(reason for _, reason in task.excluded)
        shown = ", ".join(f"{n:,} ({reason})" for reason, n in reasons.items())
        if shown:
            found.append(f"Note on {name}: not asked: {shown}.")
    for pair in pairs_of(run.config.bases()):
        found += [f"Note on {pair}: {x}." for x in differences(pair, identity.models)]
    return [*found, *_unlikely_letters(run)]


def _unlikely_letters(run: Run) -> Iterator[str]:
    """Yield a warning per model and task whose letters have hardly any probability."""
    if "option_mass" not in run.scores:
        return  # scored before there was the column
    lettered = run.scores[run.scores.scoring == "letters"]
    for (model, task), cells in lettered.groupby(["model", "task"], sort=False):
        masses = cells.groupby("arm", sort=False)["option_mass"].mean()
        low = masses[masses < LEAST_MASS]
        if len(low):
            yield (
                f"Warning on {model}, {task}: all letters together have "
                f"{small_share(float(low.min()))} of the probability of the reply's start in "
                f"{', '.join(low.index)}. The model would write something else, so the likeliest "
                "letter says little: check the prompt format, or use scoring: generate."
            )
