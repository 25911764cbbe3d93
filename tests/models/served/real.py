"""Real servers on loopback, the questions that they get, and comparisons with the model here."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import pytest

from ragbench.base.records import Message, OptionScores
from ragbench.models.model import Asked, Model
from ragbench.models.served.server import ServerModel
from ragbench.models.spec import ModelSpec
from tests.conftest import REPOSITORY

ITEMS = 200
INSTRUCTION = "Answer with the letter of the right option."
START_S = 900  # a busy machine is slow
LETTERS, OPTIONS, GENERATE = (
    Asked("letters", False),
    Asked("options", False),
    Asked("generate", False),
)
MMLU = REPOSITORY.parent / "shared" / "data" / "tasks" / "mmlu_med.jsonl"
PARTS = "liver kidney heart lung spleen thyroid pancreas bladder stomach colon".split()
AILMENTS = "stone abscess cyst infarct tumour failure".split()


@dataclass(frozen=True, slots=True)
class Item:
    """A question with lettered options."""

    question: str
    options: tuple[str, ...]

    @property
    def letters(self) -> tuple[str, ...]:
        """Its letters."""
        return tuple("ABCDEFGHIJ"[: len(self.options)])

    @property
    def turns(self) -> list[Message]:
        """Its prompt."""
        listed = (f"{a}. {b}" for a, b in zip(self.letters, self.options, strict=True))
        text = "\n".join([self.question, *listed])
        return [
            Message("system", "Answer with the letter of the right option."),
            Message("user", text),
        ]


def items() -> list[Item]:
    """Return MMLU's medical questions, spread over its subjects, or else generated ones."""
    if MMLU.is_file():
        lines = MMLU.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines[:: len(lines) // ITEMS]]
        return [Item(one["question"], tuple(one["options"].values())) for one in found[:ITEMS]]
    return [
        Item(
            f"Case {n}: which test shows {AILMENTS[n % 6]} of the {PARTS[n // 6 % 10]}?",
            (f"ultrasound of the {PARTS[n % 10]}", "a blood count", f"a biopsy at day {n}", "none"),
        )
        for n in range(ITEMS)
    ]


class RealServer:
    """A server of ``scripts/serve`` that may be killed and started again at the same port."""

    def __init__(self, name: str, model: Path, log: Path, *options: str, ready: str) -> None:
        if not (REPOSITORY / ".servers" / name / "bin").is_dir():
            pytest.skip(f"the environment .servers/{name} is missing: scripts/servers {name}")
        self.port = _free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"
        self._command = [str(REPOSITORY / "scripts" / "serve"), name, str(model), str(self.port)]
        self._command += options
        self._ready = self.root + ready
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        inherited = {
            k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OMP_NUM_THREADS")
        }
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, env=inherited, start_new_session=True
            )
        until = time.monotonic() + START_S
        while not self._is_ready():
            said = self._log.read_text(errors="replace")[-5000:]
            assert self._process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.3)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(self._ready, trust_env=False, timeout=5).is_success
        except httpx.TransportError:
            return False

    def models(self) -> list[str]:
        """Return the names of the models that the server lists."""
        listed = httpx.get(f"{self.url}/models", trust_env=False, timeout=60).json()["data"]
        return [model["id"] for model in listed]

    def kill(self) -> None:
        """Kill the server and the processes that it started, as a crash does."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            self._process = None


def _free_port() -> int:
    """Return a free port below those that systems give to clients while the server is starting."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def running(
    name: str, model: Path, folder: Path, *options: str, ready: str = "/health"
) -> Iterator[RealServer]:
    """Run a real server for the duration of a block."""
    server = RealServer(name, model, folder / f"{name}.log", *options, ready=ready)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def served(url: str, **keys: object) -> ServerModel:
    """Return the model behind a server."""
    entry = {"name": "m", "backend": "server", "url": url, "retries": 1, "concurrency": 8}
    return ServerModel(ModelSpec.model_validate(entry | keys))


def scores_of(
    model: Model, asked: Sequence[Item], *, letters: bool = True, threads: int = 1
) -> list[OptionScores]:
    """Return a model's scores of each item's letters, or of its options' texts."""

    def score(item: Item) -> OptionScores:
        options = item.letters if letters else item.options
        return model.score_options(model.render(item.turns), options)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(score, asked))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the scores of two models of one name compare.

    Attributes:
        differing: By item: how much likelier its pick is there than the other's pick, here.
        largest: Largest difference of a log-likelihood.
    """

    differing: dict[int, float]
    largest: float


@cache
def here(model: Model, *, letters: bool = True, count: int = ITEMS) -> tuple[OptionScores, ...]:
    """Return the scores of a model in this process, computed once per session."""
    return tuple(scores_of(model, items()[:count], letters=letters))


def agreement(here: Sequence[OptionScores], there: Sequence[OptionScores]) -> Agreement:
    """Compare scores item by item."""
    differing, largest = {}, 0.0
    for place, (one, other) in enumerate(zip(here, there, strict=True)):
        ours, theirs = one.log_likelihoods, other.log_likelihoods
        picks = [max(range(len(found)), key=found.__getitem__) for found in (ours, theirs)]
        if picks[0] != picks[1]:
            differing[place] = ours[picks[0]] - ours[picks[1]]
        largest = max(largest, *(abs(a - b) for a, b in zip(ours, theirs, strict=True)))
    return Agreement(differing, largest)
