"""Streams of members; what no format can say, and that memory does not grow with the archive."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.corpora.formats.archives import Member, is_archive, members
from ragbench.corpora.reader import Skipped


def names(path: Path) -> list[str]:
    return [m.name if isinstance(m, Member) else m.reason for m in members(path, lambda _: True)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.tar", True), ("A.TAR.GZ", True), ("a.tgz", True), ("a.zip", True), ("a.gz", False)],
)
def test_archives_are_known_by_name(name: str, expected: bool) -> None:
    assert is_archive(Path(name)) is expected


def test_bytes_are_read_before_the_next_member(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for number in range(300):
            info = tarfile.TarInfo(f"{number}.xml")
            info.size = number
            archive.addfile(info, io.BytesIO(bytes([number % 256]) * number))
    found = [m for m in members(tmp_path / "a.tar.gz", lambda name: name != "5.xml")]
    assert [m.where for m in found if isinstance(m, Skipped)] == [f"{tmp_path / 'a.tar.gz'}: 5.xml"]
    read = [
        (m.name, m.read())
        for m in members(tmp_path / "a.tar.gz", lambda _: True)
        if isinstance(m, Member)
    ]
    assert read == [(f"{n}.xml", bytes([n % 256]) * n) for n in range(300)]


def test_names_of_pax_and_gnu_headers_are_whole(tmp_path: Path) -> None:
    long = "folder/" * 40 + "é.nxml"
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=kind) as archive:
            info = tarfile.TarInfo(long)
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
        assert names(tmp_path / "a.tar") == [long]


@pytest.mark.parametrize("size", [512, 10_240])
def test_an_archive_after_the_end_of_another_is_told(tmp_path: Path, size: int) -> None:
    """Of ``cat a.tar b.tar`` the second would be lost; filling of any length is none."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("1.xml"))
    whole = (tmp_path / "a.tar").read_bytes()
    filled = whole[:1536].ljust(1536 + size, b"\0")  # a header and two empty blocks
    (tmp_path / "b.tar").write_bytes(filled)
    assert names(tmp_path / "b.tar") == ["1.xml"]
    (tmp_path / "b.tar").write_bytes(filled + whole)
    with pytest.raises(DataError, match="it goes on after its end"):
        names(tmp_path / "b.tar")


def test_memory_does_not_grow_with_the_members(tmp_path: Path) -> None:
    """Headers of 60,000 members would take some 60 MB."""
    with tarfile.open(tmp_path / "many.tar", "w") as archive:
        for number in range(60_000):
            archive.addfile(tarfile.TarInfo(f"{number}.xml"))
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from ragbench.corpora.formats.archives import members\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "n = sum(1 for _ in members(Path(sys.argv[1]), lambda _: True))\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    path = str(tmp_path / "many.tar")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, grown = map(int, done.stdout.split())
    assert count == 60_000
    assert grown < 20_000  # kB
