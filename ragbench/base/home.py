"""File locations: RAGBENCH_HOME first, then the files bundled with the package."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ragbench.base.errors import UsageError, near

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NAME_RULE = (
    "a name has only letters, digits, '.', '_' and '-', starts with a letter or digit, "
    "and has at most 100 characters"
)


def expand(path: str) -> Path:
    """Return a path with ``~`` expanded; it need not exist.

    Raises:
        UsageError: ``~NAME`` is not a user of this machine.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{path!r}: {error}", fix="write the full path, or set HOME or RAGBENCH_CACHE"
        ) from None


def home() -> Path:
    """Return the folder of cards, built data and runs (RAGBENCH_HOME, else the current folder)."""
    return expand(os.environ.get("RAGBENCH_HOME") or ".").resolve()


def cache() -> Path:
    """Return the folder of converted models (RAGBENCH_CACHE, else the user's cache folder)."""
    explicit = os.environ.get("RAGBENCH_CACHE")
    if explicit:
        return expand(explicit).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else expand("~") / ".cache") / "ragbench"


def bundled() -> Path:
    """Return the root of the bundled cards, recipes and configs."""
    inside = Path(__file__).parents[1] / "bundled"
    return inside if inside.is_dir() else Path(__file__).parents[2]


def legal_name(name: str) -> str:
    """Return the name itself if it is safe as a file name and in tables.

    Raises:
        ValueError: The name could leave its folder or be misread in a table.
    """
    if not NAME.fullmatch(name) or ".." in name:
        raise ValueError(NAME_RULE)
    return name


def check_name(name: str, *, what: str) -> str:
    """Return the name itself if it is safe as a file name and in tables.

    Raises:
        UsageError: The name could leave its folder or be misread in a table.
    """
    try:
        return legal_name(name)
    except ValueError:
        raise UsageError(f"{name!r} cannot be the name of {what}", fix=NAME_RULE) from None


def find_yaml(kind: str, name: str, *, what: str) -> Path:
    """Return the path of ``KIND/NAME.yaml`` in the home folder or in the package.

    A config may also be one folder deeper, as in ``configs/paper/NAME.yaml``.

    Args:
        kind: ``corpora``, ``indexes`` or ``configs``.

    Raises:
        UsageError: The name is not legal or the file does not exist.
    """
    check_name(name, what=what)
    for root in (home(), bundled()):
        for path in (root / kind / f"{name}.yaml", *_deeper(root, kind, f"{name}.yaml")):
            if path.is_file():
                return path
    raise UsageError(
        f"there is no {what} {name!r}",
        where=f"looked in {home() / kind} and in the package",
        fix=near(name, dict(yaml_names(kind))),
    )


def yaml_names(kind: str) -> Iterator[tuple[str, Path]]:
    """Yield each (name, path) of ``KIND/*.yaml``; home files override bundled files."""
    seen: set[str] = set()
    for root in (home(), bundled()):
        for path in [*sorted((root / kind).glob("*.yaml")), *_deeper(root, kind, "*.yaml")]:
            if path.stem not in seen:
                seen.add(path.stem)
                yield path.stem, path


def _deeper(root: Path, kind: str, pattern: str) -> list[Path]:
    return sorted((root / kind).glob(f"*/{pattern}")) if kind == "configs" else []
