"""Build the corpora and indexes that a run needs, or list those that are missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ragbench.base.errors import UsageError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.check import check_card
from ragbench.corpora.corpus import is_built
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.config import Config
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import corpora, index_parts, searches
from ragbench.indexes.build import build_index
from ragbench.indexes.built import IndexManifest
from ragbench.indexes.built import is_built as index_is_built
from ragbench.indexes.loading import load_recipe


def check_depths(config: Config, tasks: Sequence[TaskPart]) -> None:
    """Refuse an arm that requests more hits than a recipe ranks, before any index is built.

    Raises:
        UsageError: An arm needs more.
    """
    for task in tasks:
        for part, k in searches(config, task).items():
            most = load_recipe(part.recipe).max_hits()
            if part.within and is_built(part.corpus):
                k = len(open_corpus(part.corpus))
            if most is not None and k > most:
                raise UsageError(
                    f"{k:,} hits are requested from {part.key!r}, whose recipe ranks {most:,}",
                    where=f"task {task.spec.name}, index recipe {part.recipe}",
                    fix="raise `depth` in the recipe, or lower the arm's `k`",
                )


def commands(
    config: Config, tasks: Sequence[TaskPart], *, without: Collection[str] = ()
) -> list[str]:
    """Return the commands that build missing corpora and then indexes.

    ``without`` names corpora and recipes that cannot be built.
    """
    wanted = [name for name in corpora(config, tasks) if name not in without]
    lines = [f"ragbench corpus build {name}" for name in wanted if not is_built(name)]
    for part in {part.name: part for part in index_parts(config, tasks)}.values():
        possible = part.recipe not in without and part.corpus not in without
        if possible and not index_is_built(part.name):
            lines.append(f"ragbench index build {part.recipe} --corpus {part.corpus}")
    return lines


def build_missing(config: Config, tasks: Sequence[TaskPart]) -> dict[str, IndexManifest]:
    """Build missing corpora and indexes, check the others, and return manifests by index name."""
    manifests: dict[str, IndexManifest] = {}
    for corpus in corpora(config, tasks):
        if is_built(corpus):
            check_card(open_corpus(corpus))
        else:
            build_corpus(corpus)
    check_depths(config, tasks)
    for part in index_parts(config, tasks):
        if part.name not in manifests:
            manifests[part.name] = build_index(part.recipe, part.corpus)
    return manifests
