"""Whether the files of a built folder are still those of the build, to the byte.

A manifest holds the size and SHA-256 of every file. Opening compares sizes, and reads a file again
only if it is not the one (time, size, inode) that was last found whole: so a changed byte is seen
and a large index is not read whenever it is opened. What was found whole is noted in
``.verified.json`` beside the files, where the folder can be written to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ragbench.base.errors import DataError, RagbenchError
from ragbench.base.files import read_json, sha256_file, sha256_json, write_json

VERIFIED = ".verified.json"
OWN = (VERIFIED, "manifest.json")
LIVING = "store"  # the folder of a database, which writes its files whenever it is opened
Sums = dict[str, dict[str, Any]]
M = TypeVar("M")


def read_manifest(path: Path, kind: type[M], version: int, *, what: str, fix: str) -> M:
    """Read the manifest of a built folder.

    Args:
        path: The file.
        kind: The dataclass that it holds, with ``sums`` among its fields.
        version: The number of its format.
        what: What was built, for the message.
        fix: What to do where it is not whole.

    Returns:
        The manifest, each value of the type that its field has.

    Raises:
        DataError: It is no JSON object, is of another format, or not as it was written.
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
    seal = raw.pop("seal", None)  # those of older versions have none
    try:
        if seal is not None and seal != sha256_json(raw):
            raise ValueError("it is not as it was written")
        kind(**raw)  # which no unknown key passes
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
    raise DataError(f"the manifest is not whole: {reason}", where=str(path), fix=fix)


def write_manifest(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a manifest with the digest of its own content, so that a changed byte is seen.

    Args:
        path: The file.
        facts: The fields of its dataclass.
    """
    content = json.loads(json.dumps(facts))
    write_json(path, content | {"seal": sha256_json(content)})


def sums_of(folder: Path) -> Sums:
    """Return size and SHA-256 of every file of a folder but its manifest, by its path there."""
    facts = {}
    for name in _files(folder):
        path = folder / name
        facts[name] = {"size": path.stat().st_size, "sha256": sha256_file(path)}
    return facts


def _files(folder: Path) -> list[str]:
    """Return the paths of the files that have sums, or should have."""
    paths = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return sorted(p.as_posix() for p in paths if p.as_posix() not in OWN and p.parts[0] != LIVING)


def changed(folder: Path, sums: Mapping[str, Mapping[str, Any]], *, reread: bool) -> list[str]:
    """Return what is wrong with the files of a folder.

    Args:
        folder: The folder.
        sums: What ``sums_of`` returned at the build.
        reread: Whether files are read that were found whole before.

    Returns:
        A sentence for each file that is missing, has changed or, with ``reread``, is a stranger.
    """
    wrong = list(damaged(folder, sums, reread=reread).values())
    if reread:
        others = (name for name in _files(folder) if name not in sums)
        wrong += [f"the file {name} is not of the build" for name in others]
    return wrong


def damaged(
    folder: Path, sums: Mapping[str, Mapping[str, Any]], *, reread: bool = False
) -> dict[str, str]:
    """Return the files that are missing or have changed.

    Args:
        folder: Where they lie.
        sums: Their sizes and SHA-256, by path.
        reread: Whether files are read that were found whole before.

    Returns:
        By path, a sentence.
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
            wrong[name] = f"the file {name} has other bytes than at the build"
        else:
            stamps[name] = [*stamp, facts["sha256"]]
    if stamps != known:
        _note(folder, stamps)
    return wrong


def verify(folder: Path, sums: Mapping[str, Mapping[str, Any]], *, what: str, fix: str) -> None:
    """Refuse a folder that has changed since it was built.

    Args:
        folder: The folder.
        sums: What ``sums_of`` returned at the build.
        what: What the folder is, for the message.
        fix: What to do.

    Raises:
        DataError: A file is missing or has changed.
    """
    wrong = changed(folder, sums, reread=False)
    if wrong:
        raise DataError(f"{what} is damaged: {'; '.join(wrong[:3])}", where=str(folder), fix=fix)


def _verified(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / VERIFIED, what="the note of what was verified")
    except RagbenchError:
        return {}


def _note(folder: Path, stamps: Mapping[str, list[int]]) -> None:
    try:
        write_json(folder / VERIFIED, stamps)
    except OSError:  # a folder that cannot be written to is read again each time
        return
