"""How commands print."""

from __future__ import annotations

import pytest

from ragbench.cli.output import emit_json, emit_table, size


def test_numbers_stand_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    emit_table(["name", "n"], [["a", "5"], ["bcdef", "1,000"]])
    assert capsys.readouterr().out == "name       n\na          5\nbcdef  1,000\n"


def test_json_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"a": "ü"})
    assert "ü" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3e13, "30000.0 GB")]
)
def test_sizes(n_bytes: float, text: str) -> None:
    assert size(n_bytes) == text
