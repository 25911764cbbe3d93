"""Errors: three short lines, exit codes, near names."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ragbench.base import files
from ragbench.base.errors import (
    BackendError,
    DataError,
    PrerequisiteError,
    RagbenchError,
    UsageError,
    masked,
    near,
    needing,
    space_for,
)
from ragbench.indexes.dense.ann import write_index
from ragbench.indexes.dense.library import import_faiss


def test_message_has_what_where_and_fix_on_lines_of_their_own() -> None:
    error = RagbenchError("the id 'a b' has a blank", where="notes.jsonl:17", fix="write a_b")
    assert str(error) == (
        "error: the id 'a b' has a blank\nwhere: notes.jsonl:17\nfix:   write a_b"
    )


def test_empty_parts_take_no_line() -> None:
    assert str(RagbenchError("it is gone")) == "error: it is gone"
    assert str(RagbenchError("it is gone", fix="fetch it")) == "error: it is gone\nfix:   fetch it"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (RagbenchError, 1),
        (UsageError, 2),
        (DataError, 3),
        (PrerequisiteError, 4),
        (BackendError, 5),
    ],
)
def test_exit_codes(kind: type[RagbenchError], code: int) -> None:
    with pytest.raises(RagbenchError) as caught:
        raise kind("what")
    assert caught.value.exit_code == code


def test_near_offers_close_names_then_all_in_order() -> None:
    assert near("icd10", ["icd10cm", "hpo"]) == "did you mean 'icd10cm'? known: hpo, icd10cm"


def test_near_joins_several_close_names() -> None:
    # difflib ratios: 6/7 for the first two, 2/7 for the last.
    assert near("bm25", ["bm2", "bm5", "flat"]) == (
        "did you mean 'bm5' or 'bm2'? known: bm2, bm5, flat"
    )


def test_near_without_a_close_name_or_any_name() -> None:
    assert near("zzz", iter(["hpo"])) == "known: hpo"
    assert near("zzz", []) == "known: (none)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://me:secret@host:80/v1", "at http://***@host:80/v1"),
        ("'HTTPS://me:sec@ret@host'", "'HTTPS://***@host'"),
        ("/home/x/https:/me:secret@host/a.jsonl", "/home/x/https:/***@host/a.jsonl"),
        ("redis+tls://:secret@host", "redis+tls://***@host"),
        ("http://me:se/cret@host", "http://***@host"),
        ("http://token-secret@host", "http://***@host"),
        ("http://h/v1?api_key=secret&k=5", "http://h/v1?api_key=***&k=5"),
        ("http://h/?X-Amz-Signature=secret", "http://h/?X-Amz-Signature=***"),
        ("a@b.example, C:/x@y, 3:/4@5", "a@b.example, C:/x@y, 3:/4@5"),
        ("http://host/v1 and user@host", "http://host/v1 and user@host"),
    ],
)
def test_no_message_repeats_a_password_of_an_address(text: str, shown: str) -> None:
    assert masked(text) == shown
    error = RagbenchError(text, where=text, fix=text)
    assert "secret" not in str(error) + repr(error) + str(error.args)
    assert (error.what, error.where, error.fix) == (shown, shown, shown)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may have more than 20,000 bytes, as on a disk that is nearly full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def write_array(path: Path) -> None:
    with files.atomic_file(path) as handle:
        np.save(handle, np.zeros(5_000))


def write_faiss(path: Path) -> None:
    faiss = import_faiss()
    index = faiss.IndexFlatL2(8)
    index.add(np.zeros((1_000, 8), dtype=np.float32))
    write_index(faiss, index, path)


def append(path: Path) -> None:
    with files.JsonlAppender(path) as log:
        log.append({"a": "x" * 10_000})
        log.append({"a": "x" * 30_000})


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize(
    ("write", "need"),
    [
        (lambda path: files.write_bytes(path, b"x" * 50_000), "this write needs 30,000 more"),
        # Lines have 9 further bytes: 10,009 bytes are there, and 9,991 of 30,009 more fit.
        (append, "this write needs 20,018 more"),
        (write_array, None),
        (write_faiss, None),
    ],
)
def test_a_full_disk_is_named_with_the_need(
    tmp_path: Path, write: Callable[[Path], None], need: str | None
) -> None:
    path = tmp_path / "made"
    with needing(123_456_789.4), pytest.raises(DataError, match="no space left to write") as caught:
        write(path)
    free = f"free space on the disk of {tmp_path}, where "
    assert caught.value.fix.startswith(free) and " bytes are free" in caught.value.fix
    assert "in all about 123,456,789 are needed" in caught.value.fix
    assert need is None or need in caught.value.fix
    with pytest.raises(DataError) as caught:
        write(path.with_name("other"))
    assert "in all" not in caught.value.fix


def test_another_error_of_a_write_is_left_alone(tmp_path: Path) -> None:
    for error in (OSError(13, "Permission denied"), RuntimeError("out of memory")):
        with pytest.raises(type(error)), space_for(tmp_path / "made"):
            raise error
