"""The cache of replies: found by everything an answer depends on, and never silently wrong."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.experiment.answering.cache import CacheKey, ReplyCache
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import Finished, run_experiment
from ragbench.runfolder.records import Record, answer_of

KEY = CacheKey(model="m", prompt="Which?", continuations=(" a", " b"), reply_limit=None)
RECORD = Record(
    key="k",
    question_id="q",
    prompt="p",
    log_likelihoods=(-1.25, -2.5),
    option_tokens=(1, 2),
    prompt_tokens=7,
    elapsed_s=0.5,
    ended_at=1000.25,
    finish="scored",
    error=None,
)


def test_an_answer_is_found_by_its_whole_key(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "deep" / "replies.sqlite")
    cache.store(KEY, RECORD)
    found = cache.find(KEY)
    assert found is not None
    assert answer_of(found) == answer_of(RECORD)
    others = [
        replace(KEY, model="n"),
        replace(KEY, prompt="Which? "),
        replace(KEY, continuations=(" b", " a")),
        replace(KEY, continuations=None, reply_limit=4),
    ]
    assert [cache.find(other) for other in others] == [None] * 4
    cache.close()
    again = ReplyCache(tmp_path / "deep" / "replies.sqlite")
    assert again.find(KEY) == found
    again.close()
    assert stat.S_IMODE((tmp_path / "deep" / "replies.sqlite").stat().st_mode) == 0o600


def test_errors_and_filtered_replies_are_not_stored_and_the_first_answer_stays(
    tmp_path: Path,
) -> None:
    cache = ReplyCache(tmp_path / "r.sqlite")
    cache.store(KEY, replace(RECORD, error="away", log_likelihoods=None))
    cache.store(KEY, replace(RECORD, finish="filtered", reply=""))
    assert cache.find(KEY) is None
    cache.store(KEY, RECORD)
    cache.store(KEY, replace(RECORD, log_likelihoods=(-3.0, -4.0)))
    found = cache.find(KEY)
    assert found is not None and found.log_likelihoods == (-1.25, -2.5)
    cache.close()


def test_an_answer_that_was_changed_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    cache = ReplyCache(path)
    cache.store(KEY, RECORD)
    cache.close()
    handle = sqlite3.connect(path)
    with handle:
        handle.execute("UPDATE replies SET answer = replace(answer, '-1.25', '-9.25')")
    handle.close()
    with pytest.raises(DataError, match="not the one that was stored") as caught:
        ReplyCache(path).find(KEY)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 600])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cache of replies cannot be used") as caught:
        ReplyCache(path).find(KEY)
    assert caught.value.where == str(path)
    assert "remove the file" in caught.value.fix


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    ReplyCache(path).close()
    handle = sqlite3.connect(path)
    handle.execute("PRAGMA user_version = 99")
    handle.close()
    with pytest.raises(DataError, match="format 99, not 1"):
        ReplyCache(path)


@pytest.mark.slow
def test_several_processes_store_at_the_same_time(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from ragbench.experiment.answering.cache import CacheKey, ReplyCache\n"
        "from ragbench.runfolder.records import Record\n"
        "cache = ReplyCache(Path(sys.argv[1]))\n"
        "for n in range(100):\n"
        "    key = CacheKey('m', f'{n} of {int(sys.argv[2]) % 2}', None, 4)\n"
        "    cache.store(key, Record(key='', question_id='', prompt='', log_likelihoods=None,\n"
        "                            reply=str(n), error=None))\n"
    )
    path = tmp_path / "r.sqlite"
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(path), str(n)]) for n in range(4)
    ]
    assert [process.wait() for process in started] == [0] * 4
    cache = ReplyCache(path)
    for of in range(2):
        for n in range(100):
            found = cache.find(CacheKey("m", f"{n} of {of}", None, 4))
            assert found is not None and found.reply == str(n)


# -- across runs --------------------------------------------------------------------------------

CONFIG = """\
name: first
reply_cache: true
models: [{name: m, backend: scripted, calls: calls.jsonl}]
tasks: [{name: asked, task: mcq, scoring: letters, options: {path: asked.jsonl}}]
arms: [closed-book]
"""


@pytest.fixture
def config(home: Path) -> Path:
    lines = [
        {"id": f"q{n}", "question": f"Is it {n}?", "options": ["a", "b"], "answer": "A"}
        for n in range(6)
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (home / "first.yaml").write_text(CONFIG)
    return home / "first.yaml"


def run(config: Path, *overrides: str) -> tuple[Finished, int]:
    """Run, and return how many prompts the model was asked."""
    log = config.parent / "calls.jsonl"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    finished = run_experiment(*load_config(str(config), overrides))
    after = len(log.read_text().splitlines()) if log.exists() else 0
    return finished, after - before


def records(finished: Finished) -> list[dict[str, object]]:
    (path,) = finished.folder.all_records()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_second_run_asks_nothing_and_another_model_everything(config: Path) -> None:
    first, asked = run(config)
    assert (first.errors, asked) == (0, 6)
    second, asked = run(config, "name=second", "seed=4")
    assert (second.errors, asked) == (0, 0)
    old, new = records(first), records(second)
    assert [line["reused"] for line in new] == ["cache"] * 6
    kept = ("log_likelihoods", "prompt_tokens", "elapsed_s", "ended_at", "question_id")
    assert [[line[k] for k in kept] for line in old] == [[line[k] for k in kept] for line in new]
    assert run(config, "name=third", "models.m.seed=1")[1] == 6
    assert run(config, "name=fourth", "models.m.seed=1", "reply_cache=false")[1] == 6
    assert run(config, "name=fifth", "models.m.seed=1", "tasks.asked.limit=2")[1] == 0


def test_a_reused_answer_costs_nothing_again(config: Path) -> None:
    price = "prices.m={input: 1, output: 1}"
    first, _ = run(config, price)
    second, asked = run(config, price, "name=second")
    assert first.spending.total > 0
    assert (asked, second.spending.total) == (0, 0)


def test_the_cache_is_no_part_of_the_identity_of_a_run(config: Path) -> None:
    run(config)
    assert run(config, "reply_cache=false")[1] == 0


def test_replies_to_restricted_data_are_stored_only_if_the_config_says_so(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = "tasks.asked.options.data_use=restricted"
    assert run(config, closed)[1] == 6
    assert "not stored in the cache" in capsys.readouterr().err
    assert not (config.parent / "replies").exists()
    wanted = "reply_cache=restricted"
    assert run(config, closed, wanted, "name=second")[1] == 6
    assert run(config, closed, wanted, "name=third")[1] == 0
