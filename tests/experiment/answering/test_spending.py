"""The cost of a run: measured by its tokens, and stopped at its limit without a lost answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ragbench.api import check_complete
from ragbench.base.errors import SpentError
from ragbench.cli.main import cli
from ragbench.experiment.answering.spending import Spending, limit_text
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import run_experiment
from ragbench.runfolder.config import Billing
from ragbench.runfolder.records import Record, read_records

CONFIG = """\
name: paid
models: [{name: m, backend: scripted, concurrency: CONCURRENCY}]
tasks: [{name: mcq, scoring: generate, reply_limit: 9, options: {path: q.jsonl}}]
arms: [closed-book]
prices: {m: {input: 1000, output: 5000}}
"""


def record(**fields: object) -> Record:
    known = {"key": "", "question_id": "q", "prompt": "", "log_likelihoods": None, "error": None}
    return Record(**{"model": "m", **known, **fields})  # type: ignore[arg-type]


def test_tokens_of_all_requests_are_counted() -> None:
    """Three options are one request for the prompt alone and three with an option each."""
    scored = record(prompt_tokens=100, option_tokens=(2, 3, 4), log_likelihoods=(-1.0, -2.0, -3.0))
    assert scored.sent_tokens == 4 * 100 + 9
    assert record(prompt_tokens=100, reply="x", reply_tokens=7).sent_tokens == 100
    assert record(error="broken").sent_tokens == 0
    together = {"requests": 1, "texts": 4, "option_tokens": (2, 3, 4)}
    assert record(prompt_tokens=100, **together).sent_tokens == 4 * 100 + 9


def test_letters_take_the_prompt_once_and_echo_those_that_are_not_listed() -> None:
    """Of four letters, two are echoed, with the prompt alone: 1 and 3 texts, and 2 letters."""
    letters = {"prompt_tokens": 100, "option_tokens": (1, 1, 1, 1)}
    assert record(**letters, requests=1).sent_tokens == 100
    assert record(**letters, requests=4, unlisted=2).sent_tokens == 4 * 100 + 2
    assert record(**letters, requests=2, texts=4, unlisted=2).sent_tokens == 4 * 100 + 2
    assert record(**letters, requests=5, unlisted=3).sent_tokens == 5 * 100 + 3
    assert record(**letters, requests=1, texts=5).sent_tokens == 5 * 100 + 4


def test_answers_are_summed_and_errors_are_free() -> None:
    billing = {"m": Billing(input=2.0, output=10.0), "own": Billing(own_machine=True)}
    spending = Spending(billing, limit=0.003)
    spending.add(record(prompt_tokens=1000, reply="x", reply_tokens=100))
    assert spending.total == pytest.approx(0.002 + 0.001)
    assert not spending.may_go_on()
    spending.add(record(error="broken", prompt_tokens=1000))
    spending.add(record(model="own", prompt_tokens=1000, reply="x"))
    assert spending.by_model == {"m": pytest.approx(0.003), "own": 0.0}
    spending.add(record(model="far", prompt_tokens=1000, reply="x"))
    assert spending.sentence() == "the answers cost 0.003 USD, without far (no price)"
    assert Spending().may_go_on()
    spending.add(record(prompt_tokens=None, reply="x", model_calls=2))  # tokens not reported
    assert spending.by_model["m"] is None
    assert spending.sentence() == ("the cost of the answers of m is unknown (tokens not reported)")
    little = Spending(billing)
    little.add(record(prompt_tokens=10, reply="x", reply_tokens=1))
    assert little.sentence() == "the answers cost 0.00003 USD"
    little.by_model["m"] = 123456.78
    assert little.sentence() == "the answers cost 123,457 USD"


def test_an_hour_is_paid_once_for_all_questions_in_it() -> None:
    """1,800 s, 900 of them with two questions, and 900 s a day later: 2,700 s at 4 per hour."""
    spending = Spending({"m": Billing(per_hour=4.0, in_flight=8)})
    for end, seconds in ((1800.0, 900.0), (90_000.0, 900.0), (1800.0, 1800.0)):
        spending.add(record(prompt_tokens=9, reply="x", elapsed_s=seconds, ended_at=end))
    assert spending.total == pytest.approx(4 * 2700 / 3600)
    spending.add(record(prompt_tokens=9, reply="x", elapsed_s=3600.0))  # of an earlier version
    assert spending.total == pytest.approx(4 * 2700 / 3600 + 4 / 8)


@pytest.mark.parametrize(
    ("limit", "text"),
    [(0.005, "0.005"), (50.0, "50"), (2.5, "2.5"), (12345.678, "12,345.678"), (1e6, "1,000,000")],
)
def test_a_limit_is_written_as_given(limit: float, text: str) -> None:
    assert limit_text(limit) == text


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_run_stops_at_its_limit_and_goes_on_with_a_higher_one(
    home: Path, concurrency: int
) -> None:
    lines = [
        {"id": f"q{i}", "question": f"Case {i}?", "options": ["c", "d"], "answer": "c"}
        for i in range(12)
    ]
    (home / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    path = home / "paid.yaml"
    path.write_text(CONFIG.replace("CONCURRENCY", str(concurrency)))
    grid = OfflineGrid(*load_config(str(path)))
    (planned,) = make_plan(grid).estimates
    each = (planned.money or 0) / 12
    limit = f"max_cost={5 * each}"
    shown = CliRunner().invoke(cli, ["plan", str(path), "--set", "max_cost=0.005"]).output
    assert "the run stops at 0.005" in " ".join(shown.split())
    stopped = run_experiment(*load_config(str(path), [limit]))
    with pytest.raises(SpentError, match="stopped at its max_cost") as caught:
        check_complete(stopped)
    assert caught.value.exit_code == 6
    assert "with a higher limit, --set max_cost=LIMIT" in caught.value.fix
    assert f"max_cost of {5 * each} USD" in caught.value.what  # as given
    folder = home / "runs" / "paid"
    asked = list(read_records(folder / "records" / "m+mcq+closed-book.0.jsonl"))
    assert 5 <= len(asked) < 12
    assert stopped.spending.left == 12 - len(asked)
    more = run_experiment(*load_config(str(path), ["max_cost=1000000"]))
    check_complete(more)
    every = list(read_records(folder / "records" / "m+mcq+closed-book.0.jsonl"))
    assert every[: len(asked)] == asked
    assert len(every) == 12
    # Tokens by the records, at 1,000 and 5,000 USD per million.
    sent = sum(r.prompt_tokens or 0 for r in every)
    written = sum(r.reply_tokens or 0 for r in every)
    assert more.spending.total == pytest.approx((sent * 1000 + written * 5000) / 1e6)
    assert more.spending.total <= (planned.money or 0)


def test_the_command_ends_with_its_own_exit_code(home: Path) -> None:
    (home / "q.jsonl").write_text(
        "\n".join(
            json.dumps({"id": f"q{i}", "question": "?", "options": ["c", "d"], "answer": "c"})
            for i in range(3)
        )
    )
    path = home / "paid.yaml"
    path.write_text(CONFIG.replace("CONCURRENCY", "1"))
    done: Result = CliRunner().invoke(cli, ["run", str(path), "--set", "max_cost=0.001"])
    assert isinstance(done.exception, SpentError)
    assert (home / "runs" / "paid" / "report.html").is_file()
    report = (home / "runs" / "paid" / "report.md").read_text()
    assert "USD in all" in report
