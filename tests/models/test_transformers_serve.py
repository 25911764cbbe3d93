"""A real server, ``transformers serve``, with the real small model, on loopback."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pandas as pd
import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Message
from ragbench.models.local.hf import HfModel
from ragbench.models.model import Asked
from ragbench.models.served.server import ServerModel
from ragbench.models.spec import ModelSpec
from tests.conftest import ragbench

pytestmark = pytest.mark.slow
NEEDS = ("fastapi", "uvicorn", "openai")
START_S = 600
PROMPTS = ("Which vitamin prevents scurvy?", "Name a disease of the thyroid gland.")
CODE = "from transformers.cli.serve import Serve; import sys; "
CODE += "Serve(force_model=sys.argv[1], device='cpu', dtype='float32', "
CODE += "host='127.0.0.1', port=int(sys.argv[2]))"
CONFIG = """\
name: served
scoring: generate
reply_limit: 8
models:
  - {{name: m, backend: server, url: "{url}", model: "{model}", context: 8192, concurrency: 2}}
tasks:
  - {{name: asked, task: mcq, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""


@pytest.fixture(scope="module")
def url(smollm2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that has loaded the model."""
    if lacking := [name for name in NEEDS if importlib.util.find_spec(name) is None]:
        pytest.skip(
            f"`transformers serve` needs {', '.join(lacking)}: pip install 'transformers[serving]'"
        )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cache = tmp_path_factory.mktemp("hub")
    (cache / "hub").mkdir()
    log = cache / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(smollm2_folder), str(port)],
            env={**os.environ, "HF_HOME": str(cache)},
            stdout=output,
            stderr=output,
        )
    try:
        until = time.monotonic() + START_S
        while not is_healthy(port):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < until, log.read_text(errors="replace")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


def is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


def served(url: str, folder: Path, **keys: object) -> ServerModel:
    entry = {"name": "m", "backend": "server", "url": url, "model": str(folder), "context": 8192}
    return ServerModel(ModelSpec.model_validate({**entry, "retries": 0, **keys}))


@pytest.mark.parametrize("format_", ["chat", "plain"])
def test_the_server_writes_what_the_model_writes_here(
    url: str, smollm2_folder: Path, smollm2: HfModel, plain: HfModel, format_: str
) -> None:
    model = served(url, smollm2_folder, format=format_)
    model.check_abilities([Asked("generate", False)])
    own = smollm2 if format_ == "chat" else plain
    for prompt in PROMPTS:
        turns = [Message("system", "Be brief."), Message("user", prompt)]
        there = model.generate(model.render(turns), limit=12)
        here = own.generate(own.render(turns), limit=12)
        assert there.text == here.text
        assert (there.tokens, there.prompt_tokens) == (here.tokens, here.prompt_tokens)


def test_what_it_cannot_do_is_seen(url: str, smollm2_folder: Path) -> None:
    with pytest.raises(PrerequisiteError, match="does not report the log-probabilities"):
        served(url, smollm2_folder, format="plain").check_abilities([Asked("options", False)])
    with pytest.raises(PrerequisiteError, match="does not continue it"):
        served(url, smollm2_folder).check_abilities([Asked("generate", True)])
    with pytest.raises(PrerequisiteError, match="does not know the model 'another'"):
        served(url, Path("another")).check_abilities([])


def test_a_run_from_end_to_end(url: str, smollm2_folder: Path, home: Path) -> None:
    questions = [
        {"id": f"q{n}", "question": text, "options": ["yes", "no"], "answer": "A"}
        for n, text in enumerate(
            ["Is gout painful?", "Is scurvy a lack?", "Is tetanus caught?", "Is malaria a fever?"]
        )
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    (home / "served.yaml").write_text(CONFIG.format(url=url, model=smollm2_folder))
    done = ragbench(home, "run", "served.yaml")
    assert done.returncode == 0, done.stderr
    run = home / "runs" / "served"
    table = pd.read_parquet(run / "scores" / "correct.parquet").set_index("question_id")
    assert sorted(table.index) == ["q0", "q1", "q2", "q3"]
    assert set(table["outcome"]) <= {"parsed", "unparsed", "truncated", "refused"}
    assert (table["prompt_tokens"] > 20).all()
    facts = json.loads((run / "run.json").read_text())["identity"]["models"]["m"]
    assert (facts["server"], facts["format"]) == ("uvicorn", "chat")
