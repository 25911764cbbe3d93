"""Plans and runs behind each vendor's server: the right table, or a line that says why not.

Four questions of three options. The model knows two of them; a passage decides the other two, so
that it answers them wrongly without the passage. BM25 finds each question's passage first, since
the disease is in no other. By hand: 2 of 4 closed-book, and 4 of 4 with one passage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from _pytest.mark.structures import ParameterSet

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import run_experiment
from ragbench.models.served import http
from ragbench.report.write import write_report
from scripts.fake_server import FakeServer
from scripts.fakes.manners import SERVED
from scripts.fakes.rule import Fact, RuleModel
from scripts.fakes.vendors import VENDORS
from tests.models.loopback import Loopback, loopback
from tests.models.vendors import VendorServer

LACKS = {
    "scurvy": ("vitamin C", ("iron", "vitamin C", "zinc"), True),
    "goitre": ("iodine", ("iodine", "niacin", "zinc"), True),
    "pellagra": ("niacin", ("iron", "thiamine", "niacin"), False),
    "beriberi": ("thiamine", ("thiamine", "iodine", "vitamin C"), False),
}
TABLE = {"closed-book": [1.0, 1.0, 0.0, 0.0], "bm25-1": [1.0] * 4}
CONFIG = """\
name: {name}
indexes:
  bm25: {{recipe: bm25}}
models:
  - {{name: m, backend: server, url: "{url}", model: {model}, format: {format}, retries: 0,
     context: 4096, concurrency: 1{more}}}
tasks:
  - {{name: asked, task: mcq, scoring: {scoring}, options: {{path: asked.jsonl, corpus: lacks}}}}
arms:
  - closed-book
  - {{retriever: bm25, k: 1}}
"""
AZURE = ', headers: {api-key: "env:AZURE_KEY"}, api_version: "2024-10-21"'
FIXED = "m: not greedy: the server fixes the temperature, and a reply may differ next time"
RENAMED = "m: the limit of a reply is sent as `max_completion_tokens`"
UNSEEDED = "m: without a seed: the server takes none"
UNSET = "m: with the server's own frequency penalty, which cannot be set"
BY_IDS = "letters by logprob_token_ids, 1 request per question"
BY_TEXT = "letters by the 20 likeliest tokens of /completions, 1 request per question"
BY_CHAT = "letters by the 20 likeliest tokens of /chat/completions, 1 request per question"
NO_LETTERS = "the server does not score letters: .*logprob_token_ids: .*completions: .*chat: .*echo"
NO_ECHO = "the server does not report the log-probabilities of a prompt"
NO_PLAIN = "remove `format: plain`"
GENERATE = "write `scoring: generate`"

LISTED = {f"{blank}{letter}": 7.0 for blank in ("", " ") for letter in "ABC"}  # of 20 likeliest


@dataclass(frozen=True)
class Way:
    """A way to be tried: what the plan notes, or else why it is refused, and what to use."""

    vendor: str
    scoring: str
    format: str = "chat"
    notes: tuple[str, ...] = ()
    refused: str = ""
    use: str = GENERATE

    def __str__(self) -> str:
        return f"{self.vendor}-{self.scoring}-{self.format}"


NO_NUMBERS = ("lmstudio", "transformers", "openai-o", "gemini", "anthropic", "litellm")
WAYS = (
    Way("vllm", "generate"),
    Way("vllm", "generate", "plain"),
    Way("vllm", "letters", notes=(BY_IDS,)),
    Way("vllm", "letters", "plain", notes=(BY_IDS,)),
    Way("vllm", "options", "plain"),
    Way("vllm", "options", refused="chat template, which is missing", use="model's `tokenizer`"),
    Way("sglang", "generate"),
    Way("sglang", "letters", notes=(BY_CHAT,)),
    Way("sglang", "letters", "plain", notes=(BY_TEXT,)),
    Way("sglang", "options", "plain"),
    Way("llama.cpp", "generate"),
    Way("llama.cpp", "letters", notes=(BY_CHAT,)),
    Way("llama.cpp", "letters", "plain", notes=(BY_TEXT,)),
    Way("llama.cpp", "options", refused=NO_ECHO),
    Way("llama.cpp", "options", "plain", refused=NO_ECHO),
    Way("ollama", "generate"),
    Way("ollama", "letters", notes=(BY_CHAT,)),
    Way("ollama", "options", refused=NO_ECHO),
    Way("ollama", "generate", "plain", refused="adds to the prompt 'a', which", use=NO_PLAIN),
    Way("ollama", "letters", "plain", refused="adds to the prompt 'a', which", use=NO_PLAIN),
    Way("openai", "generate"),
    Way("openai", "letters", notes=(BY_CHAT,)),
    Way("openai", "options", refused=NO_ECHO),
    Way("openai", "generate", "plain", refused="is a chat model", use=NO_PLAIN),
    Way("openai-o", "generate", notes=(FIXED, RENAMED)),
    Way("azure", "generate"),
    Way("azure", "letters", notes=(BY_CHAT,)),
    Way("azure", "options", refused=NO_ECHO),
    Way("gemini", "generate", notes=(UNSEEDED, UNSET)),
    Way("anthropic", "generate"),
    Way("litellm", "generate", notes=(UNSEEDED, UNSET)),
    Way("litellm-drop", "generate"),
    Way("litellm-drop", "letters", refused=NO_LETTERS),
    Way("lmstudio", "generate"),
    Way("lmstudio", "generate", "plain"),
    Way("transformers", "generate"),
    Way("transformers", "generate", "plain"),
    *(Way(vendor, "letters", refused=NO_LETTERS) for vendor in NO_NUMBERS),
    *(Way(vendor, "options", refused=NO_ECHO) for vendor in NO_NUMBERS),
)
ALIKE = ("openai-o", "gemini", "litellm")
RARE = ("sglang", "azure", "anthropic", "litellm-drop", "lmstudio", "transformers")


def is_rare(way: Way) -> bool:
    if way.scoring == "generate":
        return False
    return way.vendor in RARE or (way.scoring == "options" and way.vendor in ALIKE)


def ways(*, refused: bool) -> list[ParameterSet]:
    """Return the ways that work or that do not; in the default tier, those that differ most."""
    return [
        pytest.param(
            way,
            id=f"{way}",
            marks=[pytest.mark.slow] if is_rare(way) else [],
        )
        for way in WAYS
        if bool(way.refused) == refused
    ]


def facts() -> tuple[Fact, ...]:
    """Return what the model knows, and what a passage tells it."""
    found = []
    for disease, (lack, options, is_known) in LACKS.items():
        right = (chr(65 + options.index(lack)), lack)
        wrong = next((chr(65 + n), text) for n, text in enumerate(options) if text != lack)
        evidence = f"{disease} is a lack of {lack}"
        question = f"Which lack causes {disease}?"
        found.append(Fact(question, right if is_known else wrong, evidence, right))
    return tuple(found)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the questions and the corpus."""
    folder = tmp_path_factory.mktemp("vendors")
    (folder / "corpora").mkdir()
    passages = [
        {"id": name, "text": f"The disease {name} is a lack of {lack}."}
        for name, (lack, _, _) in LACKS.items()
    ]
    questions = [
        {"id": name, "question": f"Which lack causes {name}?", "options": options, "answer": lack}
        for name, (lack, options, _) in LACKS.items()
    ]
    for file, lines in (("passages", passages), ("asked", questions)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{file}.jsonl").write_text(text)
    (folder / "corpora" / "lacks.yaml").write_text("reader: jsonl\npath: ../passages.jsonl\n")
    return folder


@pytest.fixture
def folder(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(http, "pause", lambda _: None)
    monkeypatch.setenv("AZURE_KEY", "0123456789abcdef")
    monkeypatch.setenv("RAGBENCH_HOME", str(shared_home))
    return shared_home


@pytest.fixture
def server(folder: Path) -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def config(folder: Path, way: Way, url: str, name: str = "") -> str:
    name = name or re.sub(r"[^a-z0-9-]", "-", f"{way}")
    path = folder / f"{name}.yaml"
    more = AZURE if way.vendor == "azure" else ""
    text = CONFIG.format(
        name=name, url=url, model=SERVED, format=way.format, scoring=way.scoring, more=more
    )
    path.write_text(text)
    return str(path)


def accuracies(folder: Path, path: str) -> dict[str, list[float]]:
    scores = pd.read_parquet(folder / "runs" / Path(path).stem / "scores" / "correct.parquet")
    assert set(scores.outcome) == {"parsed"}
    return {
        str(arm): cell.set_index("question_id").accuracy[list(LACKS)].tolist()
        for arm, cell in scores.groupby("arm")
    }


@pytest.mark.parametrize("way", ways(refused=False))
def test_a_way_that_works_gives_the_table_of_hand_arithmetic(
    folder: Path, way: Way, capfd: pytest.CaptureFixture[str]
) -> None:
    vendor = VENDORS[way.vendor](RuleModel(LISTED, facts=facts()))
    with FakeServer(vendor.answer) as server:
        path = config(folder, way, server.origin + vendor.base)
        plan = make_plan(OfflineGrid(*load_config(path)))
        assert all(any(note in found for found in plan.notes) for note in way.notes)
        server.requests.clear()
        assert run_experiment(*load_config(path)).errors == 0
        asked = [r for r in server.requests if "Which lack causes" in json.dumps(r.body)]
    assert accuracies(folder, path) == TABLE
    assert len(asked) == sum(estimate.requests or 0 for estimate in plan.estimates)
    if way.scoring != "options":
        assert len(asked) == 8
    printed = " ".join(capfd.readouterr().err.split())
    assert all(note in printed for note in way.notes if note.startswith("m: "))


@pytest.mark.parametrize("way", ways(refused=True))
def test_a_way_that_does_not_work_is_refused_in_one_line_with_what_to_use(
    folder: Path, way: Way
) -> None:
    vendor = VENDORS[way.vendor](RuleModel(LISTED, facts=facts()))
    with FakeServer(vendor.answer) as server:
        grid = OfflineGrid(*load_config(config(folder, way, server.origin + vendor.base)))
        make_plan(grid)
        (refusal,) = grid.refusals
        assert re.search(way.refused, refusal.what)
        assert way.use in refusal.fix
        assert "\n" not in refusal.what + refusal.fix
        if way.use == GENERATE:
            assert "tokenizer" not in refusal.fix
        assert not any("Which lack" in json.dumps(r.body) for r in server.requests)


def test_what_a_server_refuses_is_in_the_report_and_in_the_identity(
    folder: Path, server: Loopback
) -> None:
    way = Way("litellm", "generate")
    model = RuleModel(LISTED, facts=facts())
    url = VendorServer("litellm", model).install(server)
    path = config(folder, way, url, "refused")
    assert run_experiment(*load_config(path)).errors == 0
    page = write_report(folder / "runs" / Path(path).stem).path.read_text()
    assert UNSEEDED.removeprefix("m: ") in page
    VendorServer("openai", model).install(server)  # another server, with all parameters
    with pytest.raises(UsageError, match="was started from another config") as caught:
        run_experiment(*load_config(path))
    assert "models.m.changed_parameters" in caught.value.where


@pytest.mark.parametrize("scoring", ["generate", "letters"])
def test_a_server_that_cuts_prompts_silently_gives_errors_and_no_answers(
    folder: Path, server: Loopback, home: Path, scoring: str
) -> None:
    """Ollama's manner: the last 300 tokens of a prompt of over 4,000."""
    rule = RuleModel({"A": 9.0, "B": 10.0, "C": 8.0})
    url = VendorServer("ollama", rule, context=300).install(server)
    line = {"question": "Which one?", "options": ["x", "y", "z"], "answer": "B"}
    lines = [{"id": f"q{n}", **line} for n in range(4)]
    lines[1]["question"] = "Gout " * 1200 + "Which one?"
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = config(home, Way("ollama", scoring), url)
    text = Path(path).read_text().replace(", corpus: lacks", "")
    Path(path).write_text(text.partition("  - {retriever")[0])
    assert run_experiment(*load_config(path)).errors == 1
    name = Path(path).stem
    scores = pd.read_parquet(home / "runs" / name / "scores" / "correct.parquet")
    assert scores.outcome.tolist() == ["parsed", "error", "parsed", "parsed"]
    assert "the server read 300 tokens of a prompt of at least 5" in scores.error[1]
