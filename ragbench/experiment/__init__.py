"""The experiment: from a config to a run folder of raw records and their scores.

config    the YAML of an experiment, resolved and checked
folder    the run folder: its files and its identity
grid      the experiment's parts, made from a config
retrieve  one retrieval a retriever and task, saved as a TREC run
arms      what each arm gives a question; ``pack`` delivers it within the budget
prompts   the one template, with and without passages
answer    models answer, record by record
score     records -> scores
plan      what a run would do
run       all of it, in order
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.experiment.arms import Arm

arms: Registry[type[Arm]] = Registry(
    "arms",
    {
        "closed-book": Entry("ragbench.experiment.arms:ClosedBook", "no passages"),
        "retriever": Entry("ragbench.experiment.arms:Retrieved", "the first k of a retriever"),
        "random": Entry(
            "ragbench.experiment.arms:RandomLike",
            "placebo: drawn passages, none of them gold, as long as another arm's",
        ),
    },
    source=__file__,
)
