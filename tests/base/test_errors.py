"""Errors: three short lines, exit codes, near names."""

from __future__ import annotations

import pytest

from ragbench.base.errors import (
    BackendError,
    DataError,
    PrerequisiteError,
    RagbenchError,
    UsageError,
    masked,
    near,
)


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
