"""What a config names must exist: tasks with their options, index recipes and corpora.

Checked before questions are read, models are loaded or anything is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ragbench.base.errors import UsageError, near
from ragbench.base.yamlfile import Document, Keys
from ragbench.corpora.card import load_card
from ragbench.corpora.corpus import is_built
from ragbench.corpora.union import split_name
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.spec import TASK_CORPUS
from ragbench.experiment.grid.questions import checked_options
from ragbench.indexes.loading import load_recipe
from ragbench.tasks import tasks


def check_known(config: Config, document: Document) -> None:
    """Refuse a config that names what does not exist.

    Raises:
        UsageError: There is no such task, recipe or corpus, or a recipe or a card is wrong.
    """
    for place, task in enumerate(config.tasks):
        if task.task not in tasks:
            raise UsageError(
                f"there is no task {task.task!r}",
                where=document.where(("tasks", place)),
                fix=f"{near(task.task, tasks.names())}; `mcq` and `generation` ask questions of "
                "your own: {name: mine, task: mcq, options: {path: questions.jsonl}}",
            )
        checked_options(config, document, place)
    for name, index in config.indexes.items():
        with _named(document, ("indexes", name, "recipe")):
            load_recipe(index.recipe)
        with _named(document, ("indexes", name, "corpus")):
            _check_corpus(index.corpus)
    for place, corpus in enumerate(config.corpora):
        with _named(document, ("corpora", place)):
            _check_corpus(corpus)
    for arm in config.arms:
        if arm.corpus is not None:
            _check_corpus(arm.corpus)


def _check_corpus(name: str) -> None:
    """Refuse a corpus, or a member of a union, that is neither built nor has a card."""
    for one in split_name(name) or ((name,) if name != TASK_CORPUS else ()):
        if not is_built(one):
            load_card(one)


@contextmanager
def _named(document: Document, keys: Keys) -> Iterator[None]:
    """Add the place in the config to the error about a file that it names."""
    try:
        yield
    except UsageError as error:
        place = document.where(keys)
        where = f"{place}; {error.where}" if error.where else place
        raise UsageError(error.what, where=where, fix=error.fix) from None
