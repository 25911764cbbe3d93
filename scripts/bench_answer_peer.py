"""Benchmark of scoring in this process against lm-eval, by turns on the same prompts.

lm-eval gets the rendered prompts and options as requests. A short trial of each of its ways (number
format and batch size) finds the fastest. Then ragbench, this way and lm-eval's default (float32,
one prompt at a time) take turns. The cases are letters, letters with few-shot examples, option
texts, and passages that nest (the first k of one ranking), which ragbench also asks one by one.

lm-eval is no part of ragbench's environment:

    pip install lm-eval==0.4.13     # in an environment that has ragbench
    python scripts/bench_answer_peer.py [--items 24] [--rounds 3] [--cases letters,nested]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bench_answer import MODEL, corpus_of, layer_weights, one_by_one, peak, together

from ragbench.base.devices import torch_dtype
from ragbench.base.records import Question, Scoring
from ragbench.experiment.stages.prompts import continuations, messages
from ragbench.metrics.choice import pick_option
from ragbench.models.local.hf import HfModel
from ragbench.models.local.options import HfOptions
from ragbench.models.model import Choice
from ragbench.models.spec import ModelSpec
from ragbench.tasks.icd10cm import Icd10cmTask, Icd10cmTaskOptions

WAYS = ("bfloat16:1", "bfloat16:8", "bfloat16:auto", "float32:1", "float32:8")
DEFAULT = "float32:1"
Ask = Callable[[Sequence[Choice]], list[list[float]]]


class Peer:
    """lm-eval's ways of scoring one model, each loaded as lm-eval loads it."""

    def __init__(self, ours: HfModel, largest: int) -> None:
        self.ours = ours
        self.largest = largest
        self._models: dict[str, Any] = {}

    def way(self, name: str) -> Ask:
        """Return the function that scores prompts in a way, such as ``bfloat16:8``."""
        from lm_eval.models.huggingface import HFLM
        from transformers import AutoModelForCausalLM

        dtype, _, size = name.partition(":")
        if dtype not in self._models:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                self.ours._source, dtype=torch_dtype(dtype)
            )
            self._models[dtype] = loaded.to(self.ours.device).eval()
        asked = HFLM(
            pretrained=self._models[dtype],
            tokenizer=self.ours._tokenizer,
            batch_size=size,
            max_batch_size=self.largest,
        )

        def ask(items: Sequence[Choice]) -> list[list[float]]:
            from lm_eval.api.instance import Instance

            blank = "" if self.ours.is_chat else " "
            texts = [(item.prompt, blank + text) for item in items for text in item.options]
            requests = [Instance("loglikelihood", {}, pair, 0) for pair in texts]
            found = iter(asked.loglikelihood(requests, disable_tqdm=True))
            return [[next(found)[0] for _ in item.options] for item in items]

        return ask


def cases(model: HfModel, items: int) -> dict[str, list[Choice]]:
    """Return the prompts of each case; those of ``nested`` are of k = 1, 5 and 10 per question."""
    task = Icd10cmTask(Icd10cmTaskOptions(chapters=("4",)))
    corpus = corpus_of("4")
    asked = task.questions(limit=items + 5, seed=1)
    shots, asked = asked[:5], asked[5:]

    def choice(question: Question, number: int, k: int, scoring: Scoring, few: int = 0) -> Choice:
        info = replace(task.info, examples=tuple(shots[:few]))
        start = number * 10 % (len(corpus) - 10)
        turns = messages(info, question, corpus[start : start + k], scoring)
        return Choice(model.render(turns), continuations(question, scoring))

    numbered = list(enumerate(asked))
    return {
        "letters": [choice(q, n, 5, "letters") for n, q in numbered],
        "few-shot": [choice(q, n, 0, "letters", few=5) for n, q in numbered],
        "options": [choice(q, n, 5, "options") for n, q in numbered],
        "nested": [choice(q, n, k, "letters") for n, q in numbered for k in (1, 5, 10)],
    }


def turns(ways: dict[str, Ask], items: Sequence[Choice], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way in each round, all ways in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, ask in ways.items():
            started = time.perf_counter()
            ask(items)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def picks(found: Sequence[Sequence[float]], items: Sequence[Choice]) -> list[int]:
    """Return the option that each item's scores pick."""
    return [pick_option(one, item.options)[0] for one, item in zip(found, items, strict=True)]


def compare(
    model: HfModel,
    peer: Peer,
    name: str,
    items: Sequence[Choice],
    *,
    tried: Sequence[str],
    rounds: int,
    token_s: float,
) -> None:
    """Print one case: each way's prompts per second, the ratios, and equal picks."""
    some = items[: max(3, len(items) // 4)]
    trial = {way: peer.way(way) for way in tried}
    for ask in trial.values():
        ask(some[:1])
    quick = {way: found[0] for way, found in turns(trial, some, 1).items()}
    best = min(quick, key=lambda way: quick[way])
    ways: dict[str, Ask] = {"ragbench": lambda given: together(model, given)}
    if name == "nested":
        ways["ragbench, each alone"] = lambda given: one_by_one(model, given)
    ways[f"lm-eval {best}"] = trial[best]
    ways[f"lm-eval {DEFAULT} (default)"] = trial.get(DEFAULT) or peer.way(DEFAULT)
    chosen = {way: picks(ask(items), items) for way, ask in ways.items()}
    seconds = turns(ways, items, rounds)
    tokens = sum(model.count_tokens(item.prompt) for item in items)
    print(f"{name}: {len(items)} prompts, {tokens / len(items):.0f} tokens on average")
    print("  trial: " + ", ".join(f"{way} {len(some) / s:.2f}/s" for way, s in quick.items()))
    ours = statistics.median(seconds["ragbench"])
    for way, taken in seconds.items():
        median = statistics.median(taken)
        same = sum(a == b for a, b in zip(chosen["ragbench"], chosen[way], strict=True))
        print(
            f"  {way:32} {len(items) / median:6.2f} prompts/s ({min(taken):.2f} to "
            f"{max(taken):.2f} s); ragbench is {median / ours:.2f} x; same picks {same} of "
            f"{len(items)}; prompt tokens alone at {100 * tokens * token_s / median:.0f} % of the "
            "peak"
        )


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=24, help="questions")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default="letters,few-shot,options,nested")
    parser.add_argument("--ways", default=",".join(WAYS), help="of lm-eval: DTYPE:BATCH, ...")
    parser.add_argument("--largest", type=int, default=32, help="batch that `auto` tries first")
    parser.add_argument("--model", default=MODEL)
    said = parser.parse_args()
    model = HfModel(ModelSpec(name="model", options=HfOptions(path=said.model)))
    peer = Peer(model, said.largest)
    highest = peak(model)
    print(f"ragbench in {model.dtype}; peak {highest / 1e9:.0f} GFLOP/s")
    known = cases(model, said.items)
    for name in said.cases.split(","):
        compare(
            model,
            peer,
            name,
            known[name],
            tried=said.ways.split(","),
            rounds=said.rounds,
            token_s=2 * layer_weights(model) / highest,
        )


if __name__ == "__main__":
    main()
