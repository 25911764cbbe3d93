"""Benchmark of letters behind a server: one token of the reply, or the text echoed per letter.

With ``--texts`` the texts of options are scored: all in one request, or each in its own.

Both ways take turns on the same questions, at each concurrency, for some rounds. The script prints
the median of questions/s, the ratio of the medians, and whether the picks agree. No prompt is sent
in two rounds, so that none is in the server's cache.

    python scripts/bench_served_letters.py URL --tokenizer FOLDER [--format chat] [--words 300]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from ragbench.base.records import Message, OptionScores
from ragbench.metrics.choice import pick_option
from ragbench.models.model import Asked
from ragbench.models.served.server import ServerModel
from ragbench.models.spec import ModelSpec

LETTERS = ("A", "B", "C", "D")
WORDS = (
    "fever cough rash nausea fatigue anaemia oedema jaundice tremor syncope stenosis embolism "
    "infarct biopsy culture titre dose trial cohort placebo renal hepatic cardiac gastric"
).split()


def turns(number: int, words: int) -> list[Message]:
    """Return a question with a passage of so many words; both follow from the number."""
    draw = random.Random(number)
    passage = " ".join(draw.choices(WORDS, k=words))
    options = "\n".join(f"{letter}. {draw.choice(WORDS)}" for letter in LETTERS)
    return [
        Message("system", "Answer with the letter of the right option."),
        Message("user", f"Case {number}. {passage}\n\nWhich is the finding?\n{options}"),
    ]


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--model", help="name that the server knows; by default the tokenizer's")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--context", type=int, help="for a server that does not report it")
    parser.add_argument("--format", default="chat", choices=["chat", "plain"])
    parser.add_argument("--texts", action="store_true", help="score the texts of options")
    parser.add_argument("--old", default="echo", help="the way to compare with")
    parser.add_argument("--new", help="the way to measure; by default the best")
    parser.add_argument("--words", type=int, default=300, help="length of a passage")
    parser.add_argument("--questions", type=int, default=32, help="per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", default="1,8,32")
    arguments = parser.parse_args()

    def made(way: str | None) -> ServerModel:
        entry: dict[str, object] = {
            "name": "served",
            "backend": "server",
            "url": arguments.url,
            "model": arguments.model or arguments.tokenizer,
            "tokenizer": arguments.tokenizer,
            "format": arguments.format,
            "context": arguments.context,
        }
        found = ServerModel(ModelSpec.model_validate(entry | ({"letters": way} if way else {})))
        found.check_abilities([Asked("options" if arguments.texts else "letters", False)])
        return found

    ways = {"new": made(arguments.new), "old": made(None if arguments.texts else arguments.old)}
    replies = LETTERS
    if arguments.texts:
        replies = tuple(" ".join(WORDS[n : n + 4]) for n in range(0, 16, 4))
        ways["old"]._asker.takes_lists = False
    for way, each_model in ways.items():
        facts = each_model.facts().served
        if facts:
            print(f"{way}: {facts.letters}; texts in one request: {facts.takes_lists}")
    draws = random.Random(time.time_ns())

    def prompts() -> list[str]:
        """Return prompts that no server has seen."""
        first = draws.randrange(10**9)
        asked = (turns(first + n, arguments.words) for n in range(arguments.questions))
        return [ways["new"].render(each) for each in asked]

    for concurrency in map(int, arguments.concurrency.split(",")):
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(arguments.rounds):
            for way in sorted(ways, reverse=bool(turn % 2)):
                given = prompts()
                seconds = _ask(ways[way], given, replies, concurrency)[0]
                rates[way].append(len(given) / seconds)
        new, old = (statistics.median(rates[way]) for way in ("new", "old"))
        print(
            f"concurrency {concurrency:2}: new {new:6.2f}, old {old:6.2f} questions/s, "
            f"ratio {new / old:.1f} (rounds {[round(r, 2) for r in rates['new']]} and "
            f"{[round(r, 2) for r in rates['old']]})",
            flush=True,
        )
    given = prompts()
    found = {way: _ask(model, given, replies, 8)[1] for way, model in ways.items()}
    picks = [[pick_option(one.log_likelihoods, replies)[0] for one in found[way]] for way in found]
    same = sum(one == other for one, other in zip(*picks, strict=True))
    each = ", ".join(
        f"{way} {sum(one.requests or 1 + len(replies) for one in found[way]) / len(given):.2f}"
        for way in found
    )
    print(f"requests per question: {each}; same picks: {same} of {len(given)}")


def _ask(
    model: ServerModel, prompts: list[str], replies: tuple[str, ...], concurrency: int
) -> tuple[float, list[OptionScores]]:
    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        found = list(pool.map(lambda prompt: model.score_options(prompt, replies), prompts))
    return time.perf_counter() - started, found


if __name__ == "__main__":
    main()
