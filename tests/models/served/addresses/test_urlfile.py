"""A file of addresses: one per line, and an error with its line for what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.endpoint import parse
from ragbench.base.errors import DataError, UsageError
from ragbench.models.served.addresses.urlfile import MOST_BYTES, endpoints_in, path_of, read_text


def test_each_address_counts_once_without_blank_lines_and_comments(home: Path) -> None:
    path = path_of("servers.txt")
    assert path == home.resolve() / "servers.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# the night shift\r\nhttp://a:8000/v1\r\n\r\n  HTTP://B:8000/v1/ \n"
        b"http://a:8000/v1"
    )
    found = endpoints_in(read_text(path), path)
    assert found == (parse("http://a:8000/v1"), parse("http://b:8000/v1"))


@pytest.mark.parametrize("line", ["a:8000", "http://u:secret@a/v1", "http://a/v1 http://b/v1", "x"])
def test_a_line_that_is_no_address_is_named_by_its_number(line: str) -> None:
    with pytest.raises(DataError, match="not the address of a server") as caught:
        endpoints_in(f"http://a/v1\n\n{line}\n", Path("servers.txt"))
    assert caught.value.where == "servers.txt:3"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "# none yet\n"])
def test_a_file_without_an_address_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="the file of addresses has none"):
        endpoints_in(text, Path("servers.txt"))


def test_what_cannot_be_read_is_an_error_of_the_config(tmp_path: Path) -> None:
    path = tmp_path / "servers.txt"
    with pytest.raises(UsageError, match="does not exist"):
        read_text(path)
    path.write_bytes(b"http://\xff/v1\n")
    with pytest.raises(UsageError, match="cannot be read"):
        read_text(path)
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match="has more than"):
        read_text(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_text(tmp_path)
