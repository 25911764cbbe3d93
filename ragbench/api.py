"""The Python API: what the commands do, as functions of ``import ragbench`` (docs/python.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from ragbench.base.devices import Device
from ragbench.base.errors import BackendError, SpentError, UsageError

if TYPE_CHECKING:
    from ragbench.analysis.notebook import RunTables
    from ragbench.base.cluster.engine import Cluster
    from ragbench.base.records import Passage
    from ragbench.corpora.corpus import Corpus
    from ragbench.experiment.answering.rounds import Until
    from ragbench.experiment.run import Finished
    from ragbench.experiment.sharded import Answered
    from ragbench.indexes.built import IndexManifest
    from ragbench.indexes.retriever import IndexKind
    from ragbench.report.write import Written

UntilWhen = Literal["decided", "all"]
QUIETLY = 100  # the largest number of queries that are searched without a line of progress


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A passage that a search found.

    Attributes:
        id: The passage's id.
        doc_id: The id of its document.
        score: The index's own score; higher is better.
        row: The passage's row in the corpus.
        corpus: The corpus, from which the passage is read when it is asked for.
    """

    id: str
    doc_id: str
    score: float
    row: int
    corpus: Corpus = field(repr=False, compare=False)

    @property
    def passage(self) -> Passage:
        """The passage: id, doc_id, title, text, meta."""
        return self.corpus[self.row]

    @property
    def title(self) -> str:
        """The passage's title."""
        return self.passage.title

    @property
    def text(self) -> str:
        """The passage's text."""
        return self.passage.text


class Index:
    """An open index, from ``open_index`` or ``build_index``, with its manifest and corpus."""

    def __init__(self, manifest: IndexManifest, retriever: IndexKind) -> None:
        self.manifest = manifest
        self.corpus = retriever.corpus
        self._retriever = retriever

    def __repr__(self) -> str:
        return f"<ragbench index {self.name}: {len(self.corpus):,} passages>"

    @property
    def name(self) -> str:
        """The index's name."""
        return self.manifest.name

    @overload
    def search(  # type: ignore[overload-overlap]  # a str is a Sequence[str] too
        self, texts: str, k: int = 10
    ) -> list[SearchHit]: ...

    @overload
    def search(self, texts: Sequence[str], k: int = 10) -> list[list[SearchHit]]: ...

    def search(
        self, texts: str | Sequence[str], k: int = 10
    ) -> list[SearchHit] | list[list[SearchHit]]:
        """Return the best hits of a text: score descending, ties by passage id ascending.

        Args:
            texts: One query, or several.
            k: The largest number of hits per query.

        Returns:
            The hits of a text; of a list of texts, one list of hits per text.

        Raises:
            UsageError: ``texts`` is neither a text nor texts, or ``k`` is below 1.
        """
        if k < 1:
            raise UsageError(f"k is {k}", fix="ask for at least one hit")
        if isinstance(texts, str):
            return self._search([texts], k)[0]
        asked = list(texts)
        if other := next((text for text in asked if not isinstance(text, str)), None):
            raise UsageError(
                f"a query is a text, not {type(other).__name__}",
                fix='write search("one text") or search(["one text", "another"])',
            )
        return self._search(asked, k)

    def _search(self, texts: list[str], k: int) -> list[list[SearchHit]]:
        from ragbench.indexes.retriever import search_all

        if len(texts) <= QUIETLY:
            found = self._retriever.search(texts, k)
        else:
            found = search_all(self._retriever, texts, k, label=f"search {self.name}")
        return [
            [SearchHit(hit.id, hit.doc_id, hit.score, hit.row, self.corpus) for hit in hits]
            for hits in found
        ]


def open_corpus(name: str, *, build: bool = False) -> Corpus:
    """Return a built corpus: ``corpus[row]`` is a passage, ``corpus.find(id)`` a row.

    Args:
        name: The corpus; ``NAME--NAME`` for a union without a card.
        build: Whether to build it first if it is missing, as ``ragbench corpus build`` does.

    Returns:
        The open corpus.

    Raises:
        UsageError: There is no such corpus.
        DataError: It is not built, is damaged, or its source is wrong.
    """
    if build:
        from ragbench.corpora.build import build_corpus

        return build_corpus(name)
    from ragbench.corpora.open import open_corpus as open_built

    return open_built(name)


def build_index(
    recipe: str,
    corpus: str,
    *,
    name: str | None = None,
    replace: bool = False,
    device: Device = "auto",
    anyway: bool = False,
    embedded: bool = False,
) -> Index:
    """Build an index over a built corpus, or open it if the same one is built already.

    Args:
        recipe: The recipe's name (``ragbench list indexes``).
        corpus: The corpus's name.
        name: The index's name; ``RECIPE-CORPUS`` by default.
        replace: Whether to replace an index of this name and other content.
        device: Where an encoder computes: ``auto``, ``cpu`` or ``cuda``.
        anyway: Whether to build it even if disk or memory seem too small.
        embedded: Whether to refuse to encode passages that ``ragbench embed`` did not.

    Returns:
        The open index.

    Raises:
        UsageError: There is no such recipe or corpus.
        DataError: The corpus is not built, or an index of this name has other content.
    """
    from ragbench.indexes import build

    made = build.build_index(
        recipe,
        corpus,
        name=name,
        replace=replace,
        device=device,
        anyway=anyway,
        embedded=embedded,
    )
    return open_index(made.name, device=device)


def open_index(name: str, *, device: Device = "auto") -> Index:
    """Return a built index, open.

    Args:
        name: The index.
        device: Where queries are encoded and searched: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        The open index.

    Raises:
        DataError: It is not built, or its corpus or encoder has changed since.
    """
    from ragbench.indexes import built

    return Index(built.read_manifest(name), built.open_index(name, device=device))


def run(
    config: str | os.PathLike[str] | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    extend: bool = False,
    until: UntilWhen | None = None,
) -> RunTables:
    """Run an experiment to its report, or go on with it, as ``ragbench run`` does.

    Args:
        config: The path of a YAML file, the name of a config, or its contents as a mapping.
        overrides: ``key=value`` texts, as ``--set`` takes them.
        extend: Whether to add models, tasks, arms or questions to a run of this name.
        until: ``decided`` or ``all`` questions, for a config with ``analysis: stop``, which stops
            by default.

    Returns:
        The tables of the run; ``.path`` is its folder, with ``report.html``.

    Raises:
        UsageError: The config is wrong.
        BackendError: Questions have no answer. The report is written; a second call asks them
            again.
    """
    from ragbench.analysis.notebook import load_run

    finished, written = run_to_report(config, overrides, extend=extend, until=until)
    check_complete(finished)
    return load_run(written.path.parent)


def run_to_report(
    config: str | os.PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str],
    *,
    extend: bool,
    cluster: Cluster | None = None,
    until: UntilWhen | None = None,
) -> tuple[Finished, Written]:
    """Run an experiment and write its report; incomplete cells are no error here."""
    from ragbench.experiment.config.config import load_config
    from ragbench.experiment.run import run_experiment
    from ragbench.report.write import write_report

    reference = config if isinstance(config, Mapping) else os.fspath(config)
    loaded = load_config(reference, overrides)
    said = _until(loaded[0].analysis.stop is not None, until)
    finished = run_experiment(*loaded, extend=extend, cluster=cluster, until=said)
    return finished, write_report(finished.folder.path)


def _until(may_stop: bool, when: UntilWhen | None) -> Until | None:
    """Return how long a run goes on; None if it asks every question and is not looked at before."""
    if not may_stop:
        if when == "decided":
            raise UsageError(
                "the config does not say when to stop, so its questions are in no random order",
                where="--until decided",
                fix="add `analysis: {stop: {}}`, or give --set analysis.stop.min_questions=50",
            )
        return None
    from ragbench.analysis.judging import judge
    from ragbench.experiment.answering.rounds import Until

    return Until(judge, every=when == "all")


def check_complete(finished: Finished) -> None:
    """Raise an error if questions of a run have no answer, or a cell measured nothing.

    Raises:
        SpentError: The run stopped at its ``max_cost``.
        BackendError: A model failed.
    """
    from ragbench.experiment.answering.spending import limit_text

    spending = finished.spending
    if spending.left:
        raise SpentError(
            f"the run stopped at its max_cost of {limit_text(spending.limit or 0)} "
            f"{spending.currency}: "
            f"{spending.sentence()}, and {spending.left:,} questions are not asked yet",
            where=str(finished.folder.path),
            fix="run the same command with a higher limit, --set max_cost=LIMIT; it counts the "
            "answers so far, which are kept",
        )
    if finished.unmeasured:
        raise BackendError(
            f"a cell has measured nothing: {'; '.join(finished.unmeasured)}",
            where=str(finished.folder.path / "records"),
            fix="check the model or its server; then remove the records of the cell and run the "
            "same command again, which asks them again",
        )
    if finished.errors:
        raise BackendError(
            f"{finished.errors:,} questions have no answer, so some cells are incomplete",
            where=str(finished.folder.path),
            fix="run the same command again; it asks only these questions",
        )


def check_answered(answered: Answered) -> None:
    """Raise an error if questions of a shard have no answer.

    Raises:
        SpentError: The shard stopped at its share of ``max_cost``.
        BackendError: A model failed.
    """
    spending = answered.spending
    if spending.left:
        raise SpentError(
            f"the shard stopped at its share of max_cost: {spending.sentence()}, and "
            f"{spending.left:,} questions are not asked yet",
            where=str(answered.folder.path),
            fix="run the same command with a higher limit, --set max_cost=LIMIT",
        )
    if answered.errors:
        raise BackendError(
            f"{answered.errors:,} questions of the shard have no answer",
            where=str(answered.folder.path),
            fix="run the same command again; it asks only these questions",
        )
