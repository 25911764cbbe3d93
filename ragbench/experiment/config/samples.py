"""Right samples of a config's keys, for messages about wrong ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from ragbench.models.cards import cards

# Sample by dotted keys; `*` is a position in a list, or a name that the user chose.
SAMPLES: Mapping[str, str] = {
    "name": "name: my-run",
    "seed": "seed: 17",
    "corpora": "corpora: [textbooks, icd10cm]",
    "indexes": "indexes: {bm25: {recipe: bm25, corpus: textbooks}}",
    "indexes.*": "{recipe: bm25, corpus: textbooks}",
    "queries": "queries: {rationale: {by: each, write: rationale}}",
    "queries.*": "{by: each, write: rationale}",
    "queries.*.n": "n: 3",
    "queries.*.reply_limit": "reply_limit: 256",
    "models": "models: [{name: qwen, model: Qwen/Qwen2.5-0.5B-Instruct}]",
    "models.*": "{name: qwen, model: Qwen/Qwen2.5-0.5B-Instruct}, or card:NAME",
    "models.*.base": "{name: tuned, path: ./tuned, kind: biomedical, base: qwen}",
    "tasks": "tasks: [icd10cm, {name: hpo, limit: 200}]",
    "tasks.*": "{name: hpo, limit: 200, options: {split: demo}}",
    "tasks.*.limit": "limit: 200",
    "tasks.*.cite": "cite: true",
    "tasks.*.abstain": "abstain: true",
    "arms": "arms: [closed-book, {retriever: bm25, k: 5}]",
    "arms.*": "{retriever: bm25, k: 5}, {control: random, like: bm25-5}, or closed-book",
    "arms.*.k": "k: 5, or k: [1, 5]",
    "arms.*.runnable": "runnable: {factory: my_app:build, trust_code: true}",
    "arms.*.queries": "queries: NAME, with a NAME of `queries`",
    "arms.*.depth": "depth: 32",
    "arms.*.corpus": "corpus: textbooks",
    "arms.*.budget_tokens": "budget_tokens: 2048",
    "arms.*.like": "like: bm25-5, the name of another arm",
    "arms.*.fuse": "fuse: [bm25, dense]",
    "arms.*.tasks": "tasks: [icd10cm]",
    "arms.*.write": "write: {by: each, n: 3}",
    "arms.*.filter": "filter: {by: each, keep: 0.5}",
    "packing": "packing: {budget_tokens: 4096}",
    "analysis": "analysis: {alpha: 0.05, primary: {arm: bm25-5, tasks: [icd10cm]}}",
    "models.*.price": "price: {input: 2.5, output: 10}",
    "prices": "prices: {gpt: {input: 2.5, output: 10}}",
    "prices.*": "{input: 2.5, cached_input: 1.25, output: 10}, or {per_hour: 3}",
    "metrics": "metrics: {bertscore_f1: {encoder: FOLDER}}",
    "trusted_endpoints": 'trusted_endpoints: ["https://host:8000"]',
}


def sample_of(keys: tuple[str | int, ...]) -> str:
    """Return the sample of the deepest of some keys that has one; empty without any."""
    for end in range(len(keys), 0, -1):
        for pattern, sample in SAMPLES.items():
            parts = pattern.split(".")
            if len(parts) == end and all(
                part in ("*", str(key)) for part, key in zip(parts, keys, strict=False)
            ):
                return sample
    return ""


def named_entry(value: Any, what: str, known: Collection[str]) -> Any:
    """Return an entry of ``models``, ``tasks`` or ``arms``; a colon too many is explained.

    Args:
        value: The entry as written.
        what: ``model``, ``task`` or ``arm``.
        known: The keys of an entry.

    Raises:
        PydanticCustomError: It is a mapping from the entry's name.
    """
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((name, inner),) = value.items()
    if name in known or not (inner is None or isinstance(inner, dict)):
        return value
    if inner is None:
        raise refusal(
            f"{name!r} ends with a colon, which makes it a mapping without a value",
            f"write `- {name}`, without the colon",
        )
    keys = ", ".join(f"{key}: {_short(item)}" for key, item in inner.items())
    raise refusal(f"the {what} {name!r} is written as a key", f"write `- {{name: {name}, {keys}}}`")


def listed(value: Any, what: str) -> Any:
    """Return ``models``, ``tasks`` or ``arms``; a mapping or a single entry is explained.

    Raises:
        PydanticCustomError: It is not a list.
    """
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, str):
        raise refusal(f"`{what}` takes a list", f"write `{what}: [{value}]`")
    if not isinstance(value, dict):
        raise refusal(f"`{what}` takes a list", f"write `{SAMPLES[what]}`")
    entries = [_as_entry(what, str(name), inner) for name, inner in value.items()]
    shown = entries[:2] + ["..."] * (len(entries) > 2)
    raise refusal(
        f"`{what}` takes a list, and this is a mapping",
        f"write `{what}: [{', '.join(shown) or SAMPLES[what]}]`, or one entry per line after `- `",
    )


def _as_entry(what: str, name: str, inner: Any) -> str:
    if isinstance(inner, dict):
        return f"{{name: {name}, {', '.join(f'{k}: {_short(v)}' for k, v in inner.items())}}}"
    if inner is None or what != "models":
        return name
    return f"{{name: {name}, model: {_short(inner)}}}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def refusal(what: str, fix: str) -> PydanticCustomError:
    """Return an error of a validator that says what to write; braces in texts are kept."""
    return PydanticCustomError("config", "{what}", {"what": what, "fix": fix})


def model_entry(value: Any, known: Collection[str]) -> Any:
    """Return an entry of ``models``; a bare id, and a name that ends with a colon, are explained.

    Args:
        value: The entry as written, with model cards in place.
        known: The keys of every entry.

    Raises:
        PydanticCustomError: It is a text, or a mapping from the model's name.
    """
    if isinstance(value, str) and "://" in value:
        raise refusal(
            f"the model {value!r} is an address, and has no name",
            f"write `{{name: mine, backend: server, url: {value}, model: NAME}}`, with the name "
            "that the server uses",
        )
    if isinstance(value, str) and value in cards():
        raise refusal(
            f"the model {value!r} is the name of a model card, without `card:`",
            f"write `card:{value}`",
        )
    if isinstance(value, str):
        weights = "path" if value.startswith(("/", ".", "~", "package:")) else "model"
        name = value.rstrip("/").rpartition("/")[2].rpartition(":")[2]
        raise refusal(
            f"the model {value!r} has no name",
            f"write `{{name: {name.lower() or 'mine'}, {weights}: {value}}}`, or `card:NAME` "
            "(`ragbench list models`)",
        )
    if isinstance(value, dict) and len(value) == 1:
        ((name, inner),) = value.items()
        if name in ("model", "path"):
            raise refusal("the model has no name", f"write `{{name: mine, {name}: {inner}}}`")
        if name not in known and isinstance(inner, str):
            raise refusal(
                f"the model {name!r} is written as a key",
                f"write `- {{name: {name}, model: {inner}}}`",
            )
    return named_entry(value, "model", known)
