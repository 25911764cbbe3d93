"""Checks that the files of a built folder have not changed by a byte since the build.

The manifest has the size and SHA-256 of every file. Opening a folder compares sizes. It computes
the SHA-256 of a file only if the file's time, size or inode differ from the last verification, so
that large indexes open fast. The file ``.verified.json`` in a writable folder records the last
verification.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ragbench.base.errors import DataError, RagbenchError
from ragbench.base.files import plain_file, read_json, sha256_file, sha256_json, write_json

VERIFIED = ".verified.json"
OWN = (VERIFIED, "manifest.json")
LIVING = "store"  # a database rewrites its files whenever it is opened
Sums = dict[str, dict[str, Any]]
M = TypeVar("M")


def read_manifest(path: Path, kind: type[M], version: int, *, what: str, fix: str) -> M:
    """Return the manifest of a built folder, validated against its dataclass.

    Args:
        kind: The dataclass, which has a field ``sums``.
        version: The expected format number.
        what: Description of the folder for the message.

    Raises:
        DataError: The file is not a JSON object, has another format, or has changed.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        raw = read_json(path, what=f"the manifest of {what}")
    except DataError as error:
        raise DataError(error.what, where=error.where, fix=fix) from None
    if raw.get("format") != version:
        raise DataError(
            f"{what} has format {raw.get('format')!r}, not {version}", where=str(path), fix=fix
        )
    seal = raw.pop("seal", None)  # manifests of older versions have none
    try:
        if seal is not None and seal != sha256_json(raw):
            raise ValueError("its content has changed since it was written")
        kind(**raw)  # refuses unknown keys
        found = TypeAdapter(kind).validate_python(raw)
        for facts in raw.get("sums", {}).values():
            int(facts["size"]), str(facts["sha256"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        reason = f"{place}: {first['msg']}"
    except (TypeError, ValueError, LookupError) as error:
        reason = str(error)
    else:
        return found
    raise DataError(f"the manifest is invalid: {reason}", where=str(path), fix=fix)


def write_manifest(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a manifest with the digest of its own content, so that changes are detected."""
    content = json.loads(json.dumps(facts))
    write_json(path, content | {"seal": sha256_json(content)})


def sums_of(folder: Path) -> Sums:
    """Return the size and SHA-256 of every file of a folder except its manifest, by path."""
    facts = {}
    for name in _files(folder):
        path = folder / name
        facts[name] = {"size": path.stat().st_size, "sha256": sha256_file(path)}
    return facts


def _files(folder: Path) -> list[str]:
    """Return the relative paths of the files that need checksums."""
    paths = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return sorted(p.as_posix() for p in paths if p.as_posix() not in OWN and p.parts[0] != LIVING)


def changed(folder: Path, sums: Mapping[str, Mapping[str, Any]], *, reread: bool) -> list[str]:
    """Return one sentence per file that is missing, has changed or does not belong to the build.

    Args:
        sums: The result of ``sums_of`` at the build.
        reread: Read verified files again, and report files that are not part of the build.
    """
    wrong = list(damaged(folder, sums, reread=reread).values())
    if reread:
        others = (name for name in _files(folder) if name not in sums)
        wrong += [f"the file {name} is not part of the build" for name in others]
    return wrong


def damaged(
    folder: Path, sums: Mapping[str, Mapping[str, Any]], *, reread: bool = False
) -> dict[str, str]:
    """Return one sentence per file that is missing or has changed, by path.

    Args:
        sums: The result of ``sums_of`` at the build.
        reread: Read verified files again.
    """
    known = {} if reread else _verified(folder)
    wrong: dict[str, str] = {}
    stamps: dict[str, list[int]] = {}
    for name, facts in sums.items():
        path = folder / name
        try:
            stat = path.stat()
        except OSError:
            wrong[name] = f"the file {name} is missing"
            continue
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        if stat.st_size != facts["size"]:
            wrong[name] = f"the file {name} has {stat.st_size:,} bytes, not {facts['size']:,}"
        elif known.get(name) != [*stamp, facts["sha256"]] and sha256_file(path) != facts["sha256"]:
            wrong[name] = f"the file {name} has changed since the build"
        else:
            stamps[name] = [*stamp, facts["sha256"]]
    if stamps != known:
        _note(folder, stamps)
    return wrong


def verify(folder: Path, sums: Mapping[str, Mapping[str, Any]], *, what: str, fix: str) -> None:
    """Refuse a folder that has changed since it was built.

    Raises:
        DataError: A file is missing or has changed.
    """
    wrong = changed(folder, sums, reread=False)
    if wrong:
        raise DataError(f"{what} is damaged: {'; '.join(wrong[:3])}", where=str(folder), fix=fix)


def _verified(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / VERIFIED, what="the verification record")
    except RagbenchError:
        return {}


def _note(folder: Path, stamps: Mapping[str, list[int]]) -> None:
    try:
        write_json(plain_file(folder / VERIFIED), stamps)
    except OSError:  # a read-only folder, or one with a pipe there, is verified again each time
        return
