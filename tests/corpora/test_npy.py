"""Arrays of files that NumPy refuses in a dozen ways."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from ragbench.corpora.npy import map_array


def whole() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(6).reshape(2, 3))
    return out.getvalue()


def test_an_array_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(whole())
    found = map_array(tmp_path / "a.npy")
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not found.flags.writeable


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"{}",
        whole()[:40],
        whole()[:-1],
        whole().replace(b"(2, 3)", b"(2, 3"),
        whole().replace(b"(2, 3), }", b"(2,\n3), "),
        whole().replace(b"<i8", b"|O "),
        whole().replace(b"(2, 3)", b"(9**9,"),
    ],
)
def test_a_broken_file_is_a_value_error(tmp_path: Path, data: bytes) -> None:
    """Without the reader, NumPy raises EOFError, SyntaxError, TokenError and others."""
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(ValueError):
        map_array(tmp_path / "a.npy")


def test_an_archive_of_arrays_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    with pytest.raises(ValueError, match="magic string"):
        map_array(tmp_path / "a.npz")
