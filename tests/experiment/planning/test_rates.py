"""The rate of a server: stated, measured in a former run, or probed; else unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.cli.plan import totals
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.planning.rates import rate_of
from ragbench.experiment.run import run_experiment
from ragbench.models.served import http
from ragbench.runfolder.records import Record, record_to_json, sealed
from tests.experiment.asked import asked
from tests.models.loopback import Loopback, loopback
from tests.models.vendors import RuleModel, VendorServer

N = 12


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(http, "pause", lambda _: None)
    with loopback() as running:
        VendorServer("vllm", RuleModel({"B": 20.5, "A": 0.3})).install(running)
        yield running


def config(home: Path, server: Loopback, scoring: str) -> str:
    return asked(home, server, "timed", n=N, keys="concurrency: 2", scoring=scoring)


def time_of(path: str, *overrides: str) -> tuple[float | None, str]:
    """Return the seconds of the plan's model, and the line that is printed."""
    plan = make_plan(OfflineGrid(*load_config(path, overrides)))
    lines = " ".join("\n".join(totals(plan)).split())
    return plan.estimates[0].seconds, lines.partition(" time ")[2].partition(" money ")[0]


def test_a_stated_rate_is_taken_and_is_no_part_of_the_run(home: Path, server: Loopback) -> None:
    path = config(home, server, "generate")
    assert time_of(path) == (None, "unknown (`questions_per_s` of a model states it)")
    seconds, line = time_of(path, "models.m.questions_per_s=0.001")
    assert seconds == N * 1000
    assert line == "about 3.3 h on its server (0.001 questions/s, as the config says)"
    run_experiment(*load_config(path))
    assert "questions_per_s" not in (home / "runs" / "timed" / "run.json").read_text()


@pytest.mark.parametrize(
    ("ends", "wall"),
    [
        # Two at a time, without a break and with one of an hour: 6 times 3 s.
        ([3.0 * (n // 2 + 1) for n in range(N)], 18.0),
        ([3.0 * (n // 2 + 1) + 3600 * (n > 5) for n in range(N)], 18.0),
        ([3.0 * (n + 1) for n in range(N)], 36.0),  # one at a time, as a busy server allows
        (None, 18.0),  # no times: 36 s, two in flight
    ],
)
def test_a_former_run_of_the_same_model_gives_the_rate(
    home: Path, server: Loopback, ends: list[float] | None, wall: float
) -> None:
    """12 answers of 3 s each."""
    path = config(home, server, "generate")
    run_experiment(*load_config(path))
    records = home / "runs" / "timed" / "records" / "m+asked+closed-book.0.jsonl"
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    for n, line in enumerate(lines):
        line |= {"elapsed_s": 3.0, "sum": None, "ended_at": 1e9 + ends[n] if ends else None}
    slower = [record_to_json(sealed(Record(**line))) for line in lines]
    records.write_text("".join(json.dumps(line) + "\n" for line in slower))
    seconds, line = time_of(path, "name=another")
    assert seconds == pytest.approx(wall)
    assert f"{N / wall:.3f} questions/s, as measured in the run timed" in line
    if ends is None:
        records.write_text("".join(json.dumps(line) + "\n" for line in slower[:9]))
        assert time_of(path, "name=another")[0] is None  # too few answers to tell
        (home / "runs" / "timed" / "run.json").write_text("{}")
        assert time_of(path, "name=another")[0] is None


def test_letters_of_sample_prompts_give_the_rate_where_nothing_else_does(
    home: Path, server: Loopback
) -> None:
    assert rate_of("x", "letters", stated=None, probed=()) is None
    assert rate_of("x", "generate", stated=None, probed=(1.0, 3.0)) is None
    found = rate_of("x", "letters", stated=None, probed=(1.0, 3.0))
    assert found is not None
    assert found.per_s == 0.5
    seconds, line = time_of(config(home, server, "letters"))
    assert seconds
    assert "as 3 sample prompts, one at a time" in line
