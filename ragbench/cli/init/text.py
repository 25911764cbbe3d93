"""The config as a YAML text whose comments say why each choice was made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from ragbench.cli.init.corpora import CHUNK, FoundCorpus
from ragbench.cli.init.models import DEMO as DEMO_MODELS
from ragbench.cli.init.models import ModelEntry
from ragbench.cli.init.survey import QuestionFile, relative
from ragbench.corpora.union import joined_name

WIDTH = 100
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
MOST_QUESTIONS, LEAST_QUESTIONS = 200, 40  # of a first run; with the demonstration's models
K, FEW = 5, 3  # passages per prompt; of long ones
ROOM = 2048  # tokens of passages: the least budget of a run


@dataclass(frozen=True, slots=True)
class Draft:
    """What a config is written from.

    Attributes:
        name: Name of the config and of its run.
        tasks: Files of questions.
        corpora: Their corpus, or the members of a union; none without retrieval.
        models: The models.
        has_gold: Whether the questions name documents that the corpus has.
        dense: Whether FAISS and the encoder of MiniLM are installed.
        restricted: Whether texts and questions are under a data-use agreement.
    """

    name: str
    tasks: Sequence[QuestionFile]
    corpora: Sequence[FoundCorpus]
    models: Sequence[ModelEntry]
    has_gold: bool
    dense: bool
    restricted: bool

    @property
    def corpus(self) -> str | list[str]:
        """The corpus as configs name it."""
        names = [corpus.name for corpus in self.corpora]
        return names[0] if len(names) == 1 else names

    @property
    def is_demo(self) -> bool:
        """Whether the models are those of the demonstration."""
        return any(model.keys.get("card") in DEMO_MODELS for model in self.models)

    @property
    def k(self) -> int:
        """Passages per prompt, fewer where they are long."""
        return FEW if self.passage_tokens * K > ROOM else K

    @property
    def passage_tokens(self) -> int:
        """Tokens that nine in ten passages do not exceed, about; 0 if unknown."""
        return max((_passage(corpus) for corpus in self.corpora), default=0)


def _passage(corpus: FoundCorpus) -> int:
    cut = corpus.card.chunking if corpus.card else None
    return min(corpus.most, CHUNK // 4) if cut else corpus.most


def config_text(draft: Draft) -> str:
    """Return the YAML text of a config."""
    lines = [
        *_comment(
            "Written by `ragbench init`; every key may be changed. `ragbench plan` shows what a "
            "run takes and what is missing, `ragbench run` asks, scores and reports."
        ),
        f"name: {scalar(draft.name)}",
        "seed: 17  # of every random draw; the same seed gives the same run",
        "",
        *_indexes(draft),
        *_models(draft),
        *_tasks(draft),
        *_arms(draft),
        *_budget(draft),
    ]
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: str = "") -> list[str]:
    start = f"{indent}# "
    whole = " ".join(text.split())
    return wrap(whole, WIDTH, initial_indent=start, subsequent_indent=start)


def _indexes(draft: Draft) -> Iterator[str]:
    if not draft.corpora:
        yield from _comment(
            "No corpus was found, so that the run asks without passages only. Describe one "
            "(`ragbench corpus add`, or run `ragbench init` again with its files), then write:"
        )
        yield "# indexes:"
        yield "#   bm25: {recipe: bm25, corpus: NAME}"
        yield ""
        return
    for corpus in draft.corpora:
        yield from _comment(_described(corpus))
    yield "indexes:"
    yield from _comment(
        "BM25 searches words, which include drug names and codes, and needs no model.", "  "
    )
    name = scalar(draft.corpus)
    yield f"  bm25: {{recipe: bm25, corpus: {name}}}"
    if draft.dense:
        yield from _comment(
            "FAISS and the encoder MiniLM are installed: this index searches by meaning. Its arms "
            "are at the end.",
            "  ",
        )
        yield f"  # dense: {{recipe: minilm-flat, corpus: {name}}}"
    yield ""


def _described(corpus: FoundCorpus) -> str:
    if corpus.card is None or corpus.path is None:
        return f"The corpus {corpus.name} was named with --corpus."
    least = "" if corpus.is_whole else "more than "
    text = f"Corpus {corpus.name}: {relative(corpus.path)}, {least}{corpus.seen:,} documents. "
    text += f"Half of them have at most {corpus.half:,} tokens, nine in ten at most "
    text += f"{corpus.most:,} (about). Its card is corpora/{corpus.name}.yaml."
    if corpus.card.chunking:
        text += (
            f" The card cuts documents into passages of whole sentences, at most {CHUNK:,} "
            "characters, because long documents leave no room for others in a prompt."
        )
    return text


def _models(draft: Draft) -> Iterator[str]:
    yield "models:"
    for why in dict.fromkeys(model.why for model in draft.models):
        yield from _comment(f"{why[0].upper()}{why[1:]}.", "  ")
        for model in draft.models:
            if model.why == why:
                lone = set(model.keys) == {"card"}
                yield f"  - card:{model.keys['card']}" if lone else f"  - {scalar(model.keys)}"
    if not any("base" in model.keys or "card" in model.keys for model in draft.models):
        yield from _comment(
            "A biomedical model is compared with the general one that it was made from, so that "
            "the verdict says what fine-tuning gained:",
            "  ",
        )
        yield (
            "  # - {name: NAME, path: FOLDER, kind: biomedical, base: "
            f"{scalar(draft.models[0].name)}}}"
        )
    yield ""


def _tasks(draft: Draft) -> Iterator[str]:
    if any(model.is_served for model in draft.models):
        yield from _comment(
            "Answers are read from written replies, because few servers report the likelihoods of "
            "given texts (vLLM does: `letters`)."
        )
        yield "scoring: generate"
    elif draft.is_demo:
        yield from _comment(
            "The demonstration's models are too small to name letters: the likelihoods of the "
            "options' texts are compared, in the format of the adapter's training. Remove both "
            "lines for other models."
        )
        yield "scoring: options"
        yield "prompt_format: plain"
    elif any(task.kind == "mcq" for task in draft.tasks):
        yield from _comment(
            "The options are listed, and the letter with the highest likelihood is taken. Models "
            "under some billion parameters tend to take one letter for everything: `options` "
            "compares the likelihoods of the options' texts."
        )
        yield "# scoring: options"
    yield "tasks:"
    for task in draft.tasks:
        n = len(task.questions)
        what = "multiple-choice questions" if task.kind == "mcq" else "questions with text answers"
        yield from _comment(f"{relative(task.path)}: {n:,} {what}.", "  ")
        most = LEAST_QUESTIONS if draft.is_demo else MOST_QUESTIONS
        limited = n > most
        if limited:
            yield from _comment(
                f"A first run asks the first {most} of the file; remove `limit` for all. "
                "`ragbench power --difference 0.05` computes how many show a difference of 5 "
                "points.",
                "  ",
            )
        options: dict[str, Any] = {"path": relative(task.path)}
        if draft.corpora:
            options["corpus"] = joined_name([corpus.name for corpus in draft.corpora])
        if task.columns is not None:
            options["columns"] = task.columns.model_dump(exclude_none=True, mode="json")
        else:
            options["extra_fields"] = True
        if draft.restricted:
            options["data_use"] = "restricted"
        entry: dict[str, Any] = {"name": task.name, "task": task.kind}
        entry |= {"limit": most} if limited else {}
        one = f"  - {scalar(entry | {'options': options})}"
        if len(one) <= WIDTH:
            yield one
            continue
        for key, value in entry.items():
            yield f"  {'-' if key == 'name' else ' '} {key}: {scalar(value)}"
        yield "    options:"
        yield from (f"      {key}: {scalar(value)}" for key, value in options.items())
    yield ""


def _arms(draft: Draft) -> Iterator[str]:
    yield "arms:"
    yield from _comment("Without passages: what the models know themselves.", "  ")
    yield "  - closed-book"
    if not draft.corpora:
        yield "  # - {name: bm25-5, retriever: bm25, k: 5}"
        yield ""
        return
    k = draft.k
    arm = f"bm25-{k}"
    few = " (3, because passages are long)" if k == FEW else ""
    yield from _comment(
        f"With the first {k} passages{few}. `k: [1, {k}]` makes two arms from one search.", "  "
    )
    yield f"  - {{name: {arm}, retriever: bm25, k: {k}}}"
    yield from _comment(
        "A placebo: random passages of the same length. What they gain is no merit of retrieval.",
        "  ",
    )
    yield f"  - {{name: random-{k}, control: random, like: {arm}}}"
    oracle = f"{{name: oracle-{k}, control: oracle, like: {arm}}}"
    if draft.has_gold:
        yield from _comment(
            "Only the documents that answer the question: what better retrieval could add.", "  "
        )
        yield f"  - {oracle}"
    else:
        yield from _comment(
            "Where questions name the documents that answer them (gold_doc_ids), this control "
            "shows what better retrieval could add:",
            "  ",
        )
        yield f"  # - {oracle}"
    if draft.dense:
        yield from _comment("With the index `dense` above:", "  ")
        yield f"  # - {{name: dense-{k}, retriever: dense, k: {k}}}"
        yield f"  # - {{name: hybrid-{k}, fuse: [bm25, dense], k: {k}}}"
    yield ""


def _budget(draft: Draft) -> Iterator[str]:
    if not draft.corpora:
        return
    need = draft.passage_tokens * draft.k
    found = f"here about {need:,} for k = {draft.k}" if need else "as `ragbench plan` shows"
    yield from _comment(
        "The token budget for passages is left out: the run takes what k long passages need "
        f"({found}), at least 2,048 and no more than the smallest context has room for."
    )
    yield "# packing: {budget_tokens: 2048}"


def scalar(value: Any) -> str:
    """Return a value as YAML in one line; texts that YAML would misread are in quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(k)}: {scalar(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(scalar, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = str(value)
    if isinstance(value, str) and (not PLAIN.fullmatch(text) or text.casefold() in WORDS):
        return json.dumps(text, ensure_ascii=False)
    return text


DEMO = """\
# Written by `ragbench init`, which found no questions in this folder: this config asks about terms
# of the Human Phenotype Ontology, which a Python package brings. It shows the method and says
# nothing about medicine. For your own data: ragbench init QUESTIONS.csv CORPUS.csv
#
# `ragbench plan` shows what a run takes and what is missing, `ragbench run` asks, scores and
# reports.
name: {name}
seed: 17  # of every random draw; the same seed gives the same run

# The task's own corpus, which the run builds. BM25 searches words and needs no model.
indexes:
  bm25: {{recipe: bm25, corpus: task}}

# A pair: SmolLM2-135M-Instruct and a small adapter of it, which ragbench carries.
models:
  - card:smollm2-135m
  - card:smollm2-135m-icd-hpo
prompt_format: plain  # `auto` takes the chat template where a model has one

tasks:
  # 40 questions are enough to see a large effect; half of the terms were in the adapter's training.
  - {{name: hpo, limit: 40, options: {{split: demo}}}}

arms:
  # Without passages: what the models know themselves.
  - closed-book
  # With the first 3 passages.
  - {{name: bm25-3, retriever: bm25, k: 3}}
  # A placebo: random passages of the same length. What they gain is no merit of retrieval.
  - {{name: random-3, control: random, like: bm25-3}}
  # Only the passages that answer the question: what better retrieval could add.
  - {{name: oracle-3, control: oracle, like: bm25-3}}
"""


def demo_text(name: str) -> str:
    """Return a config of the demonstration, for a folder without data."""
    return DEMO.format(name=scalar(name))
