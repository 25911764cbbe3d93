"""The identity of a run: config and facts that can change a result."""

from __future__ import annotations

from dataclasses import asdict, replace

from ragbench.base.errors import DataError
from ragbench.base.files import sha256_file
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.prices import billing_of
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.grid.sources import arms_of, source_keys, sources
from ragbench.indexes.built import IndexManifest, read_manifest
from ragbench.runfolder.config import Billing, RunConfig
from ragbench.runfolder.facts import (
    CorpusFacts,
    IndexedCorpus,
    IndexFacts,
    TaskFacts,
    shared_options,
)
from ragbench.runfolder.runfile import Identity
from ragbench.runfolder.schema import parse, to_json


def known_identity(grid: Grid) -> Identity:
    """Return what is known before a corpus is built: tasks, models and the packing's tokenizer."""
    return Identity(
        tasks={task.spec.name: task_facts(grid, task) for task in grid.tasks},
        models={
            name: replace(model.facts(), digest=model.digest())
            for name, model in grid.models.items()
        },
        packing={"tokenizer": grid.config.reference_model().name},
    )


def resolved(grid: Grid) -> RunConfig:
    """Return the config as run.json has it, with what each model costs."""
    value = grid.config.model_dump(mode="json")
    if value["analysis"]["stop"] is None:
        del value["analysis"]["stop"]  # as in runs of earlier versions
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
        cite=task.spec.cite or None,
        abstain=task.spec.abstain or None,
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


def runnable_digests(grid: Grid) -> dict[str, str] | None:
    """Return the digest of the code and keys of each runnable, by its name; None without any.

    Raises:
        UsageError: The module of a runnable has no file.
    """
    every = (source for task in grid.tasks for source in sources(grid.config, task))
    return {s.key: s.runnable.digest() for s in every if s.runnable is not None} or None


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
