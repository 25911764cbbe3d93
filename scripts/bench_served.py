"""Benchmark of served models: questions per second by concurrency, and of several servers.

The servers are of this script, each in its own process. They answer every request after a fixed
latency, as many at a time as they are asked, so that the figures are those of ragbench alone. One
is uneven: every eighth question takes four times as long there. Every figure is of a whole run over
the same questions, by the times in its records. The runs take turns, and the script prints medians
and ratios.

    python scripts/bench_served.py [--questions 96] [--latency 0.25] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import statistics
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.runfolder.records import read_records

MODEL = "served"
AT_ONCE = (1, 8, 32)


async def serve(latency: float, slow: float, ready: Connection) -> None:
    """Answer like a server with one model that says A, each request after the latency.

    Every eighth question takes ``slow`` times as long.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").lower()
        sizes = [line[15:] for line in head.split("\r\n") if line.startswith("content-length")]
        asked = json.loads(await reader.readexactly(int(*sizes)) or b"{}")
        found: dict[str, Any] = {"data": [{"id": MODEL, "max_model_len": 4096}]}
        if asked:
            number = re.search(r"Case (\d+)", asked["messages"][-1]["content"])
            is_slow = number is not None and int(number[1]) % 8 == 7
            await asyncio.sleep(latency * (slow if is_slow else 1))
            said = {"role": "assistant", "content": "The answer is A."}
            words = sum(len(turn["content"].split()) for turn in asked["messages"])
            usage = {"prompt_tokens": 10 * words, "completion_tokens": 5}
            choice = {"index": 0, "message": said, "finish_reason": "stop"}
            found = {"choices": [choice], "usage": usage}
        body = json.dumps(found).encode("ascii")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def start(latency: float, slow: float = 1.0) -> str:
    """Start a server in a process that ends with this one, and return its address."""
    here, there = multiprocessing.Pipe()
    multiprocessing.Process(
        target=lambda: asyncio.run(serve(latency, slow, there)), daemon=True
    ).start()
    return f"http://127.0.0.1:{here.recv()}/v1"


def entry(name: str, *urls: str, at_once: int) -> dict[str, object]:
    """Return an entry of ``models``."""
    keys = {"backend": "server", "model": MODEL, "concurrency": at_once}
    return {"name": name, "url": list(urls), **keys}


def per_second(name: str, models: list[dict[str, object]], tasks: list[dict[str, Any]]) -> float:
    """Return the questions per second of a run, from the first request to the last answer."""
    config = {"name": name, "scoring": "generate", "arms": ["closed-book"]}
    folder = run_experiment(*load_config({**config, "models": models, "tasks": tasks})).folder
    records = [record for path in folder.all_records() for record in read_records(path)]
    ends = [record.ended_at or 0.0 for record in records]
    starts = [(record.ended_at or 0.0) - (record.elapsed_s or 0.0) for record in records]
    return len(records) / (max(ends) - min(starts))


def main() -> None:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=96)
    parser.add_argument("--latency", type=float, default=0.25)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    count = arguments.questions
    home = Path(tempfile.mkdtemp(prefix="bench-served-"))
    os.environ["RAGBENCH_HOME"] = str(home)
    lines = [
        {"id": f"q{n}", "question": f"Case {n}?", "options": ["c", "d"], "answer": "c"}
        for n in range(count)
    ]
    (home / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    one, two = start(arguments.latency), start(arguments.latency)
    uneven = start(arguments.latency, slow=4.0)
    whole = [{"name": "t", "task": "mcq", "options": {"path": "q.jsonl"}}]
    parts = [
        {"name": f"t{n}", "task": "mcq", "options": {"path": "q.jsonl"}, "limit": count // 12}
        for n in range(12)
    ]
    cases: dict[str, tuple[list[dict[str, object]], list[dict[str, Any]]]] = {
        f"one server, concurrency {n}": ([entry("m", one, at_once=n)], whole) for n in AT_ONCE
    }
    cases |= {
        "two servers of a model, concurrency 8": ([entry("m", one, two, at_once=8)], whole),
        "two models on two servers, concurrency 8": (
            [entry("m", one, at_once=8), entry("n", two, at_once=8)],
            whole,
        ),
        "uneven, one task, concurrency 8": ([entry("m", uneven, at_once=8)], whole),
        "uneven, 12 tasks, concurrency 8": ([entry("m", uneven, at_once=8)], parts),
    }
    found: dict[str, list[float]] = {case: [] for case in cases}
    for round_ in range(arguments.rounds):
        for place, (case, (models, tasks)) in enumerate(cases.items()):
            found[case].append(per_second(f"r{round_}-{place}", models, tasks))
    speed = {case: statistics.median(values) for case, values in found.items()}
    first = f"one server, concurrency {AT_ONCE[0]}"
    eight = "one server, concurrency 8"
    print(f"{count} questions, {arguments.latency:g} s each, medians of {arguments.rounds} runs")
    for case, value in speed.items():
        ratio = f"{value / speed[first]:6.2f} x one at a time, {value / speed[eight]:5.2f} x eight"
        print(f"{case:44} {value:7.2f} questions/s {ratio}")


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
