"""Arms of a task that gave every question the same prompt: they are one arm to every effect."""

from __future__ import annotations

from collections.abc import Sequence

from ragbench.runfolder.config import CLOSED_BOOK, RunConfig
from ragbench.runfolder.packed import delivered_ids
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import last_records
from ragbench.runfolder.runfile import RunFile

Packing = tuple[tuple[str, tuple[str, ...]], ...]  # passages by question
Prompts = dict[tuple[str, str], str]  # by model and question


def same_prompts(files: RunPaths, about: RunFile) -> dict[str, dict[str, str]]:
    """Return by task each arm whose prompts are those of another arm, with that other arm.

    Of several arms, closed-book is kept before retrieval arms, and those before controls; among
    equals the first in the config is kept. An arm is kept too if the prompt of some question is
    unknown, and in imported runs every arm is.
    """
    tasks = about.identity.tasks
    if about.identity.imported_from is not None:
        return {task: {} for task in tasks}
    return {task: _of_task(files, about.config, task, tasks[task].arms) for task in tasks}


def _of_task(files: RunPaths, config: RunConfig, task: str, arms: Sequence[str]) -> dict[str, str]:
    def rank(arm: str) -> tuple[bool, bool]:
        return config.arm(arm).control is not None, arm != CLOSED_BOOK

    may_stop = files.stopped.is_file()  # then some prompts may not have been asked
    # Records are long, so they are read only where the packings are equal.
    alike: dict[tuple[Packing, ...], list[str]] = {}
    for arm in sorted(arms, key=rank):
        paths = [files.delivered(task, arm, model.name) for model in config.models]
        if all(path.exists() for path in paths):
            held = {path: tuple(delivered_ids(path).items()) for path in dict.fromkeys(paths)}
            alike.setdefault(tuple(held[path] for path in paths), []).append(arm)
    found: dict[str, str] = {}
    for (packing, *_), members in alike.items():
        kept: dict[str, Prompts] = {}
        for arm in members if len(members) > 1 else ():
            prompts = _prompts(files, config, task, arm)
            if len(prompts) < len(packing) * len(config.models) and not may_stop:
                continue
            if other := next((name for name in kept if _is_alike(prompts, kept[name])), None):
                found[arm] = other
            else:
                kept[arm] = prompts
    return found


def _is_alike(one: Prompts, other: Prompts) -> bool:
    """Say whether the prompts of two arms are the same where both are known."""
    both = one.keys() & other.keys()
    return bool(both) and all(one[key] == other[key] for key in both)


def _prompts(files: RunPaths, config: RunConfig, task: str, arm: str) -> Prompts:
    """Return the digest of each prompt that is known, by model and question."""
    return {
        (model.name, question): record.prompt
        for model in config.models
        for question, record in last_records(files.records(model.name, task, arm)).items()
        if record.prompt
    }
