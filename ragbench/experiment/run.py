"""All stages of a run in order; each keeps the results of earlier sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace

from ragbench.base import home
from ragbench.base.cluster.engine import Cluster
from ragbench.base.files import JsonlAppender, locked, private, remove_halves, write_text
from ragbench.base.progress import say
from ragbench.base.yamlfile import Document
from ragbench.experiment.answering.answer import answer_open
from ragbench.experiment.answering.cache import ReplyCache
from ragbench.experiment.answering.merging import merge_shards
from ragbench.experiment.answering.opening import (
    Jobs,
    Opened,
    Packed,
    check_lengths,
    open_cells,
    open_each,
    plan_units,
)
from ragbench.experiment.answering.rounds import Planned, Until, answer_in_rounds
from ragbench.experiment.answering.spending import Spending
from ragbench.experiment.answering.watching import Watch
from ragbench.experiment.config.config import Config
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.known import check_known
from ragbench.experiment.grid.sources import corpora
from ragbench.experiment.identity import (
    billing,
    check_corpora,
    corpus_facts,
    index_facts,
    known_identity,
    resolved,
    run_file_digests,
    runnable_digests,
)
from ragbench.experiment.resume import check_same, kept_budget, start
from ragbench.experiment.stages.budget import choose_budget
from ragbench.experiment.stages.deliver import pack_all
from ragbench.experiment.stages.retrieve import retrieve_all
from ragbench.experiment.stages.score import Scored, score_cells
from ragbench.experiment.writing.asking import Session
from ragbench.experiment.writing.filtering import encoder_digests, filter_passages
from ragbench.experiment.writing.instructions import WRITTEN_TEMPLATE
from ragbench.experiment.writing.rounds import ask_in_rounds
from ragbench.experiment.writing.texts import write_texts, writes
from ragbench.indexes.dense.cluster.encoding import encoding_on
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.runfile import Identity, read_run_file, write_run_file
from ragbench.runfolder.runfile import Session as LoggedSession
from ragbench.runfolder.schema import to_json
from ragbench.runfolder.sums import INPUTS, measure, read_sums, write_sums

PROMPT_TEMPLATE = 2  # raised when stages/prompts.py changes prompts


@dataclass(frozen=True)
class Finished:
    """A finished run.

    Attributes:
        folder: Its folder.
        errors: Number of questions without an answer.
        unmeasured: Cells that have measured nothing, each with the reason.
        spending: What the answers cost, and how many questions were not asked because of it.
    """

    folder: RunPaths
    errors: int
    unmeasured: tuple[str, ...] = ()
    spending: Spending = field(default_factory=Spending)


@dataclass(frozen=True)
class Prepared:
    """A run before its first answer.

    Attributes:
        folder: Its folder.
        left: Number of prompts without an answer.
        units: Most units of a model: more shards than that would have nothing to do.
    """

    folder: RunPaths
    left: int
    units: int


def run_experiment(
    config: Config,
    document: Document,
    *,
    extend: bool = False,
    cluster: Cluster | None = None,
    until: Until | None = None,
) -> Finished:
    """Build missing parts, retrieve, pack, answer and score; answers of shards are merged first.

    Args:
        config: The checked config.
        document: The document it was read from.
        extend: Whether models, tasks, arms or questions may be added to the run folder.
        cluster: The machines on which models in a process of ours answer; without it, this one.
        until: How long a run goes on that may stop early; without it, every question is asked.
    """
    with _held(config, document, cluster) as (grid, folder), _cache(grid) as cache:
        spending = Spending(billing(grid), config.max_cost, config.currency)
        scored = Scored(0, ())
        known, packed = _deliver(grid, Session(folder, spending, cache), extend=extend)
        jobs, written = Jobs(grid, packed), deepcopy(spending)
        if said := merge_shards(grid, folder, jobs).sentence():
            say(said)
        watch = Watch([name for name, facts in known.models.items() if facts.served])
        opened = _open(grid, folder, jobs, spending, watch)
        asking = _Asking(grid, folder, jobs, written, watch.served, cache)
        try:
            if until is None:
                answer_open(grid, folder, opened, jobs, spending, watch, cache)
            else:
                scored = answer_in_rounds(grid, folder, until, asking)
                spending = asking.spending
        finally:
            for model in grid.models.values():
                model.release()
            record_answerers(folder, watch if asking.watch is None else asking.watch)
            if cluster is not None:
                _record_nodes(folder, cluster)
        if said := spending.sentence():
            say(said)
        if until is None:
            scored = score_cells(folder)
    return Finished(folder, scored.errors, scored.unmeasured, spending)


@dataclass(slots=True)
class _Asking:
    """Asks the questions of a round; the cost and the remarks are those of all rounds."""

    grid: Grid
    folder: RunPaths
    jobs: Jobs
    before: Spending
    served: Sequence[str]
    cache: ReplyCache | None
    spending: Spending = field(default_factory=Spending)
    watch: Watch | None = None

    def __call__(self, planned: Planned) -> bool:
        """Ask what has no answer yet, and return whether all has one then."""
        self.spending, self.watch = deepcopy(self.before), Watch(self.served)
        opened = open_each(self.folder, planned, self.jobs, self.spending, self.watch)
        errors = answer_open(
            self.grid, self.folder, opened, self.jobs, self.spending, self.watch, self.cache
        )
        return not errors and not self.spending.left


def prepare_experiment(config: Config, document: Document, *, extend: bool = False) -> Prepared:
    """Do everything of a run before its first answer; arguments are those of ``run_experiment``."""
    with _held(config, document) as (grid, folder), _cache(grid) as cache:
        spending = Spending(billing(grid), config.max_cost, config.currency)
        _, packed = _deliver(grid, Session(folder, spending, cache), extend=extend)
        opened = _open(grid, folder, Jobs(grid, packed), Spending(), Watch())
        for model in grid.models.values():
            model.release()
        every = (sum(map(len, tasks.values())) for tasks in plan_units(grid).values())
        return Prepared(
            folder,
            sum(task.left for tasks in opened.values() for task in tasks),
            max(every),
        )


@contextmanager
def _held(
    config: Config, document: Document, cluster: Cluster | None = None
) -> Iterator[tuple[Grid, RunPaths]]:
    """Yield the grid of a config, and its run folder, which no other process writes meanwhile."""
    check_known(config, document)
    grid = Grid(config, document, cluster)
    folder = RunPaths(home.home() / "runs" / config.name)
    grid.check_trust()  # before a corpus is read
    with (
        nullcontext() if cluster is None else cluster.guarded(grid.check_node),
        private(grid.is_restricted, folder.path),
        locked(folder.path, what=f"the run {config.name!r}"),
    ):
        folder.check_inside()
        remove_halves(folder.path)
        yield grid, folder


@contextmanager
def _cache(grid: Grid) -> Iterator[ReplyCache | None]:
    """Yield the cache of replies while a run uses it."""
    cache = reply_cache(grid)
    try:
        yield cache
    finally:
        if cache is not None:
            cache.close()


def _deliver(grid: Grid, session: Session, *, extend: bool) -> tuple[Identity, Packed]:
    """Build what is missing, retrieve and pack; return the models' facts and the passages.

    Queries and passages that models write are written before, and what a filter judges in between.
    """
    folder = session.folder
    _keep_budget(grid, folder)
    grid.check_supported()  # a served model's identity has the abilities that are found
    known = replace(
        known_identity(grid), run_files=run_file_digests(grid), runnables=runnable_digests(grid)
    )
    for name, facts in known.models.items():
        for remark in facts.served.remarks() if facts.served else ():
            say(f"{name}: {remark}")
    check_same(folder, resolved(grid), known, extend=extend)  # before anything is built
    with encoding_on(grid.cluster):
        manifests = build_missing(grid.config, grid.tasks)
    if grid.config.packing.budget_tokens is None:
        budget = choose_budget(grid)
        say(f"packing: {budget.tokens:,} tokens of passages per prompt ({budget.why})")
        grid.config = grid.config.with_budget(budget.tokens)
    identity = replace(
        known,
        indexes={name: index_facts(manifest) for name, manifest in manifests.items()},
        corpora={name: corpus_facts(name) for name in corpora(grid.config, grid.tasks)},
        prompts={"template": PROMPT_TEMPLATE} | _written_template(grid),
        filters=encoder_digests(grid) or None,
    )
    start(folder, resolved(grid), identity, extend=extend)
    write_text(folder.path / "config.yaml", grid.document.text)
    check_corpora(identity)
    written = write_texts(grid, session)
    ask_in_rounds(grid, session, manifests, written)
    retrieve_all(grid, folder, manifests, written.queries)
    filter_passages(grid, session, written)
    check_corpora(identity)
    packed = pack_all(grid, folder, written)
    check_corpora(identity)
    write_sums(folder, measure(folder, INPUTS))
    return known, packed


def _written_template(grid: Grid) -> dict[str, int]:
    return {"written": WRITTEN_TEMPLATE} if writes(grid.config) else {}


def _open(grid: Grid, folder: RunPaths, jobs: Jobs, spending: Spending, watch: Watch) -> Opened:
    opened = open_cells(grid, folder, jobs, plan_units(grid), spending, watch)
    check_lengths(grid, opened, jobs)
    return opened


def reply_cache(grid: Grid) -> ReplyCache | None:
    """Return the cache of replies, if the config uses it and its data may be stored there."""
    wanted = grid.config.reply_cache
    if wanted is True and grid.is_restricted:
        say(
            "note: replies to restricted data are not stored in the cache; "
            "`reply_cache: restricted` stores them"
        )
        return None
    return ReplyCache(home.home() / "replies" / "replies.sqlite") if wanted else None


def record_answerers(folder: RunPaths, watch: Watch) -> None:
    """Write into run.json what the servers said of their models, if they said anything."""
    said = {name: each for name, each in watch.answerers.items() if each.models}
    said |= {name: each for name, each in watch.answerers.items() if each.fingerprints}
    if said:
        write_run_file(folder.run, replace(read_run_file(folder.run), answered_by=said))
        write_sums(folder, (read_sums(folder) or {}) | measure(folder, ["run.json"]))


def _record_nodes(folder: RunPaths, cluster: Cluster) -> None:
    """Log which machines of a cluster have answered in this session, and how often."""
    if cluster.calls:
        with JsonlAppender(folder.sessions) as log:
            log.append(to_json(replace(LoggedSession.begin(), answered_on=cluster.calls)))
        sums = (read_sums(folder) or {}) | measure(folder, ["sessions.jsonl"])
        write_sums(folder, sums)


def _keep_budget(grid: Grid, folder: RunPaths) -> None:
    """Give a config without a budget the one that its run has chosen before."""
    kept = kept_budget(folder) if grid.config.packing.budget_tokens is None else None
    if kept is not None:
        grid.config = grid.config.with_budget(kept)
