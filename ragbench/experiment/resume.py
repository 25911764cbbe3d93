"""A run folder is continued only by the experiment that started it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ragbench.base.errors import UsageError
from ragbench.base.files import JsonlAppender, drop_torn_line
from ragbench.runfolder.config import RunConfig
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import seal_records
from ragbench.runfolder.runfile import (
    SEALED,
    Identity,
    RunFile,
    Session,
    read_run_file,
    write_run_file,
)
from ragbench.runfolder.schema import to_json

# Keys that change no record.
FREE = (
    *("config.description", "config.analysis", "config.trusted_endpoints"),
    *("config.prices", "config.currency", "config.max_cost", "config.billing"),
    "config.reply_cache",
)
# How a server is reached, and where weights are; the model's digest says what answers.
SERVING = (
    *(".url", ".url_file", ".concurrency", ".timeout_s", ".retries", ".patience_s"),
    *(".api_key_env", ".letters", ".context", ".proxy", ".proxy_auth"),
    *(".device", ".device_map"),
)
# Places of a model's files, whose spelling changes nothing.
PLACES = (".path", ".adapter", ".tokenizer")
# Facts of a model that may differ between two sessions with the same digest, and explain no other.
HARMLESS = (".context_tokens", ".server", ".told.max_model_len", ".parameters")
MODEL_DIGEST = re.compile(r"models\..+\.digest")
SHOWN_CHARACTERS = 72


def check_same(
    folder: RunPaths,
    config: RunConfig,
    identity: Identity,
    *,
    extend: bool,
    is_prepared: bool = False,
) -> None:
    """Check that an existing run is the same experiment, as far as is known yet.

    Args:
        folder: The run.
        config: The resolved config.
        identity: Facts that can change a result; absent sections are not compared.
        extend: Whether models, tasks, arms or questions may be added.
        is_prepared: Whether a run without answers counts too.

    Raises:
        UsageError: The folder has another experiment; the message names the differing keys.
    """
    if not folder.run.exists() or not (is_prepared or _has_records(folder)):
        return
    old = read_run_file(folder.run)
    new, was = to_json(identity), to_json(old.identity)
    known = {key: was.get(key) for key in new}
    changed = _changes(_flat(old.config.raw, known), _flat(config.raw, new), extend=extend)
    if changed:
        shown = "; ".join(changed[:6]) + (" ..." if len(changed) > 6 else "")
        raise UsageError(
            f"the run {folder.name!r} was started from another config or other data",
            where=f"{folder.run}: {shown}",
            fix="give the config another `name:`, remove the folder, or, if you only "
            "add models, tasks, arms or questions, run with --extend",
        )


def kept_budget(folder: RunPaths) -> int | None:
    """Return the budget of passages of a run that has answers; None if there is none yet."""
    if not folder.run.exists() or not _has_records(folder):
        return None
    return prepared_budget(read_run_file(folder.run))


def prepared_budget(run: RunFile) -> int | None:
    """Return the budget of passages of a run; None in imported ones."""
    packing = run.config.raw.get("packing")
    tokens = packing.get("budget_tokens") if isinstance(packing, Mapping) else None
    return tokens if isinstance(tokens, int) else None


def _has_records(folder: RunPaths) -> bool:
    folders = [folder, folder.written, *folder.shards()]
    return any(path.stat().st_size for each in folders for path in each.all_records())


def start(folder: RunPaths, config: RunConfig, identity: Identity, *, extend: bool) -> None:
    """Write ``run.json`` and log the session, after ``check_same`` with the whole identity."""
    check_same(folder, config, identity, extend=extend)
    session = Session.begin()
    started: Session | None = session
    if _has_records(folder):
        old = read_run_file(folder.run)
        started = old.started
        if old.format < SEALED:
            for path in folder.all_records():
                drop_torn_line(path)
                seal_records(path)
    folder.sums.unlink(missing_ok=True)  # the files that it describes are about to be replaced
    run = RunFile(started=started, name=folder.name, config=config, identity=identity)
    write_run_file(folder.run, run)
    with JsonlAppender(folder.sessions) as log:
        log.append(to_json(session))


def _flat(config: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return config and identity as dotted keys; named list members are keyed by name."""
    return dict(_walk({"config": config, **identity}, ""))


def _walk(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walk(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple) and all(
        isinstance(member, Mapping) and "name" in member for member in value
    ):
        for member in value:
            yield from _walk(member, f"{key}.{member['name']}")
    else:
        yield key, value


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], *, extend: bool) -> list[str]:
    changed: list[str] = []
    facts = _facts_to_name(old, new)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key) or key.startswith(FREE):
            continue
        if key.startswith("config.models.") and (
            key.endswith(SERVING) or _is_same_place(key, old.get(key), new.get(key))
        ):
            continue
        if key.startswith("models.") and key not in facts:
            continue
        if key.startswith("config.arms.") and key.endswith(".runnable.timeout_s"):
            continue
        if key.startswith("tasks.") and ".sources_of_questions" in key:
            continue  # the digest of the questions decides
        is_fixed = facts.get(key, False)
        if (
            extend
            and not is_fixed
            and (_is_added(key, old) or _is_longer(key, old.get(key), new.get(key)))
        ):
            continue
        if member := _other_member(key, old, new):
            changed += [member] * (member not in changed)
            continue
        changed.append(f"{key}: {_short(old, key)} -> {_short(new, key)}")
    return changed


def _facts_to_name(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, bool]:
    """Return the facts to name of models whose digest differs, which alone decides.

    A fact is true if the model is in both runs: no extension changes it. The digest itself is
    named only if no other fact explains it.
    """
    named: dict[str, bool] = {}
    for digest in (key for key in old.keys() | new.keys() if MODEL_DIGEST.fullmatch(key)):
        if old.get(digest) == new.get(digest):
            continue
        if digest not in old or digest not in new:
            named[digest] = False
            continue
        start = digest.removesuffix("digest")
        facts = (key for key in old.keys() | new.keys() if key.startswith(start))
        differing = {key for key in facts if old.get(key) != new.get(key)} - {digest}
        telling = {key for key in differing if not key.endswith(HARMLESS)}
        named |= dict.fromkeys(telling or {digest}, True)
    return named


def _is_same_place(key: str, old: object, new: object) -> bool:
    """Say whether a place is only spelled in another way; the model's digest covers its content."""
    if not key.endswith(PLACES) or not isinstance(old, str) or not isinstance(new, str):
        return False
    return posixpath.normpath(old) == posixpath.normpath(new)


def _other_member(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return in words which model, task or arm is new or gone as a whole; empty if none is."""
    *kind, name = key.split(".")[:3]
    if kind not in (["config", "models"], ["config", "tasks"], ["config", "arms"]):
        return ""
    start = f"{'.'.join(kind)}.{name}."
    there = [any(known.startswith(start) for known in keys) for keys in (old, new)]
    return "" if all(there) else f"{kind[1]}: {name} was {'added' if there[1] else 'removed'}"


def _is_added(key: str, old: Mapping[str, Any]) -> bool:
    """Say whether a key belongs to a new member, not to a new option of an old task."""
    parts = key.split(".")
    task = ".".join(parts[:3]) + "."
    if parts[:2] == ["config", "tasks"] and any(known.startswith(task) for known in old):
        return False
    return key not in old


def _short(values: Mapping[str, Any], key: str) -> str:
    text = repr(values[key]) if key in values else "(absent)"
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 4] + "..."


def _is_longer(key: str, old: object, new: object) -> bool:
    """Say whether a change only adds questions to a task; record keys prove the rest."""
    if key.startswith("config.tasks.") and key.endswith(".limit"):
        return old is not None and (new is None or int(str(new)) > int(str(old)))
    if key.startswith("tasks.") and key.endswith((".arms", ".sources")):
        return isinstance(old, list) and isinstance(new, list) and set(old) <= set(new)
    if key.startswith("tasks.") and key.endswith(".n"):
        return isinstance(old, int) and isinstance(new, int) and new >= old
    return key.startswith("tasks.") and key.endswith(".digest")
