"""Any changed byte is seen; a whole file is read once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ragbench.base import checksums
from ragbench.base.checksums import VERIFIED, changed, sums_of, verify
from ragbench.base.errors import DataError
from ragbench.base.files import sha256_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "part").mkdir()
    (tmp_path / "a.bin").write_bytes(b"abc" * 1000)
    (tmp_path / "part" / "b.bin").write_bytes(b"")
    (tmp_path / "manifest.json").write_text("{}")
    return tmp_path


def test_sums_name_every_file(folder: Path) -> None:
    found = sums_of(folder)
    assert found == {
        "a.bin": {"size": 3000, "sha256": hashlib.sha256(b"abc" * 1000).hexdigest()},
        "part/b.bin": {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()},
    }


@pytest.mark.parametrize("reread", [True, False])
@pytest.mark.parametrize("verified", [True, False])
def test_a_flipped_byte_is_seen(folder: Path, reread: bool, verified: bool) -> None:
    sums = sums_of(folder)
    if verified:
        assert changed(folder, sums, reread=False) == []
        assert (folder / VERIFIED).is_file()
    data = bytearray((folder / "a.bin").read_bytes())
    data[1234] ^= 1
    (folder / "a.bin").write_bytes(data)
    for _ in range(2):
        assert changed(folder, sums, reread=reread) == [
            "the file a.bin has changed since the build"
        ]
    with pytest.raises(DataError, match=r"the index is damaged: the file a\.bin has changed"):
        verify(folder, sums, what="the index", fix="build it again")


def test_missing_and_cut_files(folder: Path) -> None:
    sums = sums_of(folder)
    (folder / "a.bin").write_bytes(b"abc")
    (folder / "part" / "b.bin").unlink()
    assert changed(folder, sums, reread=False) == [
        "the file a.bin has 3 bytes, not 3,000",
        "the file part/b.bin is missing",
    ]


def test_the_files_of_a_database_are_its_own(folder: Path) -> None:
    (folder / "store").mkdir()
    (folder / "store" / "rows.sqlite3").write_bytes(b"1")
    sums = sums_of(folder)
    assert set(sums) == {"a.bin", "part/b.bin"}
    (folder / "store" / "rows.sqlite3").write_bytes(b"2")
    assert changed(folder, sums, reread=True) == []


def test_a_stranger_is_told(folder: Path) -> None:
    sums = sums_of(folder)
    (folder / "part" / "c.bin").write_bytes(b"c")
    assert changed(folder, sums, reread=False) == []
    assert changed(folder, sums, reread=True) == ["the file part/c.bin is not part of the build"]


def test_a_file_found_whole_is_not_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = sums_of(folder)
    read: list[str] = []

    def noted(path: Path) -> str:
        read.append(path.name)
        return sha256_file(path)

    monkeypatch.setattr(checksums, "sha256_file", noted)
    for _ in range(3):
        assert changed(folder, sums, reread=False) == []
    assert sorted(read) == ["a.bin", "b.bin"]
    assert changed(folder, sums, reread=True) == []
    assert len(read) == 4


def test_a_note_that_lies_about_another_build_is_not_believed(folder: Path) -> None:
    sums = sums_of(folder)
    assert changed(folder, sums, reread=False) == []
    sums["a.bin"]["sha256"] = "0" * 64
    assert changed(folder, sums, reread=False)
