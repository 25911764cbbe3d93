"""How commands print."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from ragbench.cli import output
from ragbench.cli.output import (
    draws_blocks,
    echo,
    emit_json,
    emit_table,
    size,
    terminal_width,
)


def test_numbers_stand_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    emit_table(["name", "n"], [["a", "5"], ["bcdef", "1,000"]])
    assert capsys.readouterr().out == "name       n\na          5\nbcdef  1,000\n"


def test_a_table_folds_at_the_terminals_width_and_is_whole_through_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ["x" * 30, "y" * 30, "z" * 30]
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal_width() is None  # pytest captures the output as a pipe does
    emit_table(["a", "b", "c"], [row, row[::-1]])
    assert capsys.readouterr().out.splitlines()[1] == "  ".join(row)
    monkeypatch.setenv("COLUMNS", "70")
    assert terminal_width() == 70
    emit_table(["a", "b", "c"], [row, row[::-1]])
    folded = capsys.readouterr().out
    assert max(map(len, folded.splitlines())) <= 70
    assert set(folded.split()) == {"a", "b", "c", "b:", *row} - {"b"}


@pytest.mark.parametrize(("encoding", "drawn"), [("utf-8", True), ("ascii", False)])
def test_bars_are_drawn_where_the_encoding_has_them(
    monkeypatch: pytest.MonkeyPatch, encoding: str, drawn: bool
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    assert draws_blocks() is drawn


def test_json_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"a": "ü"})
    assert "ü" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3e13, "30000.0 GB")]
)
def test_sizes(n_bytes: float, text: str) -> None:
    assert size(n_bytes) == text


ESCAPES = {
    "\x1b[2J\x1b[31mred": "\\x1b[2J\\x1b[31mred",
    "a\rb": "a\\x0db",
    "\x9b31m": "\\x9b31m",  # the escape of one byte
    "\x1b]0;title\x07": "\\x1b]0;title\\x07",
    "ab\u202edc": "ab\\u202edc",  # turns what follows around
    "a\x08\x7fb": "a\\x08\\x7fb",
    "half \ud800": "half \\ud800",
    "\u2028": "\\u2028",
    "na\u00efve \u2265 2": "na\u00efve \u2265 2",
}


@pytest.mark.parametrize(("text", "shown"), ESCAPES.items())
def test_a_terminal_obeys_no_text(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    echo(f"{text}\n\tnext")
    assert capsys.readouterr().out == f"{shown}\n\tnext\n"
    emit_table([text, "b"], [[f"{text}\nx\ty", 1]])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(shown) and lines[1].startswith(f"{shown}\\nx\\ty")
    emit_json({text: text})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {text: text}
    assert printed.isascii() or shown == text


def test_every_command_prints_through_it() -> None:
    folder = Path(output.__file__).parent
    others = [path for path in folder.glob("*.py") if path.name not in ("output.py", "main.py")]
    assert len(others) > 8
    assert not [path.name for path in others if "click.echo" in path.read_text(encoding="utf-8")]
