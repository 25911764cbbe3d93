"""All stages of a run in order; each keeps the results of earlier sessions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from ragbench.base import home
from ragbench.base.errors import DataError
from ragbench.base.files import locked, private, remove_halves, sha256_file, write_text
from ragbench.base.progress import say
from ragbench.base.yamlfile import Document
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.config import Config
from ragbench.experiment.config.prices import billing_of
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.known import check_known
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, corpora, source_keys, sources
from ragbench.experiment.resume import check_same, kept_budget, start
from ragbench.experiment.stages.answer import answer_all, check_lengths
from ragbench.experiment.stages.budget import choose_budget
from ragbench.experiment.stages.deliver import pack_all
from ragbench.experiment.stages.retrieve import retrieve_all
from ragbench.experiment.stages.score import score_cells
from ragbench.experiment.stages.spending import Spending
from ragbench.experiment.stages.watching import Watch
from ragbench.indexes.built import IndexManifest, read_manifest
from ragbench.runfolder.config import Billing, RunConfig
from ragbench.runfolder.facts import (
    CorpusFacts,
    IndexedCorpus,
    IndexFacts,
    TaskFacts,
    shared_options,
)
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.runfile import Identity, read_run_file, write_run_file
from ragbench.runfolder.schema import parse, to_json
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


def run_experiment(config: Config, document: Document, *, extend: bool = False) -> Finished:
    """Build missing parts, retrieve, pack, answer and score.

    Args:
        config: The checked config.
        document: The document it was read from.
        extend: Whether models, tasks, arms or questions may be added to the run folder.
    """
    check_known(config, document)
    grid = Grid(config, document)
    folder = RunPaths(home.home() / "runs" / config.name)
    grid.check_trust()  # before a corpus is read
    with (
        private(grid.is_restricted, folder.path),
        locked(folder.path, what=f"the run {config.name!r}"),
    ):
        folder.check_inside()
        remove_halves(folder.path)
        _keep_budget(grid, folder)
        grid.check_supported()  # a served model's identity has the abilities that are found
        known = Identity(
            tasks={task.spec.name: task_facts(grid, task) for task in grid.tasks},
            models={
                name: replace(model.facts(), digest=model.digest())
                for name, model in grid.models.items()
            },
            packing={"tokenizer": config.reference_model().name},
            run_files=run_file_digests(grid),
        )
        for name, facts in known.models.items():
            for remark in facts.served.remarks() if facts.served else ():
                say(f"{name}: {remark}")
        check_same(folder, resolved(grid), known, extend=extend)  # before anything is built
        manifests = build_missing(grid.config, grid.tasks)
        if grid.config.packing.budget_tokens is None:
            budget = choose_budget(grid)
            say(f"packing: {budget.tokens:,} tokens of passages per prompt ({budget.why})")
            grid.config = grid.config.with_budget(budget.tokens)
        identity = replace(
            known,
            indexes={name: index_facts(manifest) for name, manifest in manifests.items()},
            corpora={name: corpus_facts(name) for name in corpora(grid.config, grid.tasks)},
            prompts={"template": PROMPT_TEMPLATE},
        )
        start(folder, resolved(grid), identity, extend=extend)
        write_text(folder.path / "config.yaml", document.text)
        check_corpora(identity)
        retrieve_all(grid, folder, manifests)
        check_corpora(identity)
        packed = pack_all(grid, folder)
        check_corpora(identity)
        write_sums(folder, measure(folder, INPUTS))
        check_lengths(grid, packed)
        spending = Spending(billing(grid), config.max_cost, config.currency)
        watch = Watch([name for name, facts in known.models.items() if facts.served])
        try:
            answer_all(grid, folder, packed, spending, watch)
        finally:
            for model in grid.models.values():
                model.release()
            record_answerers(folder, watch)
        if said := spending.sentence():
            say(said)
        scored = score_cells(folder)
    return Finished(folder, scored.errors, scored.unmeasured, spending)


def record_answerers(folder: RunPaths, watch: Watch) -> None:
    """Write into run.json what the servers said of their models, if they said anything."""
    said = {name: each for name, each in watch.answerers.items() if each.models}
    said |= {name: each for name, each in watch.answerers.items() if each.fingerprints}
    if said:
        write_run_file(folder.run, replace(read_run_file(folder.run), answered_by=said))
        write_sums(folder, (read_sums(folder) or {}) | measure(folder, ["run.json"]))


def resolved(grid: Grid) -> RunConfig:
    """Return the config as run.json has it, with what each model costs."""
    value = grid.config.model_dump(mode="json")
    value["billing"] = {name: to_json(costs) for name, costs in billing(grid).items()}
    return parse(RunConfig, value, str(grid.document.path), what="config")


def billing(grid: Grid) -> dict[str, Billing]:
    """Return what each model costs, by its name."""
    return {
        spec.name: billing_of(
            spec,
            grid.config.prices.get(spec.name),
            in_flight=grid.models[spec.name].concurrency,
        )
        for spec in grid.config.models
    }


def _keep_budget(grid: Grid, folder: RunPaths) -> None:
    """Give a config without a budget the one that its run has chosen before."""
    kept = kept_budget(folder) if grid.config.packing.budget_tokens is None else None
    if kept is not None:
        grid.config = grid.config.with_budget(kept)


def check_corpora(identity: Identity) -> None:
    """Refuse corpora and indexes that were built again since the run began.

    Raises:
        DataError: A digest is not that of the run, or an index is over another build of its corpus.
    """
    corpora = identity.corpora or {}
    for name, facts in corpora.items():
        if open_corpus(name).digest != facts.digest:
            raise _built_again(f"the corpus {name!r}", name)
    for name, index in (identity.indexes or {}).items():
        corpus = corpora.get(index.corpus.name)
        if corpus is not None and corpus.digest != index.corpus.digest:
            raise _built_again(f"the corpus {index.corpus.name!r} of the index {name!r}", name)
        if read_manifest(name).digest != index.digest:
            raise _built_again(f"the index {name!r}", name)


def _built_again(what: str, name: str) -> DataError:
    return DataError(
        f"{what} was built again while the run used it",
        where=name,
        fix="let nothing build it meanwhile, and give the same `ragbench run` again",
    )


def task_facts(grid: Grid, task: TaskPart) -> TaskFacts:
    """Return the recorded facts of a task."""
    return TaskFacts(
        digest=task.digest,
        n=len(task.questions),
        arms=tuple(arm.name for arm in arms_of(grid.config, task)),
        sources=tuple(sorted(source_keys(grid.config, task))),
        scoring=task.scoring,
        reply_limit=task.reply_limit if task.scoring == "generate" else None,
        metrics=task.metrics,
        answers=task.info.answers,
        classes=shared_options(task.questions),
        reader=task.info.reads,
        examples=tuple(example.id for example in task.info.examples),
        excluded=task.info.excluded,
        double_first=task.info.double_first,
        sources_of_questions=dict(task.info.sources),
        cluster_unit=task.info.cluster_unit,
        note=task.info.note,
        licence=task.info.licence,
        data_use=task.info.data_use,
    )


def run_file_digests(grid: Grid) -> dict[str, str]:
    """Return the SHA-256 of the run file of each arm that has one; DataError if it is missing."""
    found = {}
    for task in grid.tasks:
        for source in sources(grid.config, task):
            if source.run_file is not None:
                if not source.run_file.is_file():
                    where = f"{source.run_file} (arm {source.key})"
                    raise DataError("the TREC run does not exist", where=where)
                found[source.key] = sha256_file(source.run_file)
    return found


def index_facts(manifest: IndexManifest) -> IndexFacts:
    """Return the recorded facts of an index."""
    return IndexFacts(
        digest=manifest.digest,
        corpus=IndexedCorpus(**asdict(manifest.corpus)),
        dtype=manifest.facts.get("dtype"),
    )


def corpus_facts(name: str) -> CorpusFacts:
    """Return the recorded facts of a corpus of passages."""
    facts = open_corpus(name).manifest
    return CorpusFacts(
        digest=facts.digest,
        n=facts.n_passages,
        licence=facts.licence,
        data_use=facts.data_use,
        members={m.name: m.digest for m in facts.members} if facts.members else None,
    )
