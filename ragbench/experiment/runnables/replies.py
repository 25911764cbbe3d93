"""What a pipeline returns, as passages: LangChain Documents, mappings or texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TEXTS = ("page_content", "text")  # keys of a passage's text in a mapping
SHOWN_KEYS = 8


def passages_of(returned: Any, key: str) -> list[dict[str, str]]:
    """Return the passages, best first, each with a text, a title and an id, which may be empty.

    Args:
        returned: A list of passages, or a mapping with one.
        key: The key of that list; empty for the only list of documents in the mapping.

    Raises:
        ValueError: There are none, or one is not a passage.
    """
    found = _under(returned, key) if isinstance(returned, Mapping) else returned
    if key and not isinstance(returned, Mapping):
        raise ValueError(f"it returned a {type(returned).__name__}, which has no key {key!r}")
    if not isinstance(found, list | tuple):
        raise ValueError(f"it returned a {type(found).__name__}, not a list of documents")
    return [_passage(member, place) for place, member in enumerate(found, 1)]


def _under(returned: Mapping[Any, Any], key: str) -> Any:
    names = ", ".join(map(repr, list(returned)[:SHOWN_KEYS])) or "(none)"
    if key:
        if key not in returned:
            raise ValueError(f"it returned no key {key!r}; its keys are {names}")
        return returned[key]
    lists = [name for name, value in returned.items() if _are_documents(value)]
    filled = [name for name in lists if returned[name]]
    found = filled or lists
    if len(found) != 1:
        what = "several lists" if found else "no list"
        raise ValueError(
            f"it returned a mapping with {what} of documents; its keys are {names}: name one with "
            "`passages: KEY`"
        )
    return returned[found[0]]


def _are_documents(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_document, value))


def _is_document(value: Any) -> bool:
    from langchain_core.documents import Document

    return isinstance(value, Document) or (isinstance(value, Mapping) and TEXTS[0] in value)


def _passage(value: Any, place: int) -> dict[str, str]:
    from langchain_core.documents import Document

    if isinstance(value, Document):
        return _plain(value.page_content, value.metadata, value.id, place)
    if isinstance(value, Mapping):
        text = next((value[key] for key in TEXTS if key in value), None)
        metadata = value.get("metadata")
        return _plain(text, metadata if isinstance(metadata, Mapping) else value, None, place)
    return _plain(value, {}, None, place)


def _plain(
    text: Any, metadata: Mapping[str, Any], identifier: str | None, place: int
) -> dict[str, str]:
    if not isinstance(text, str) or not text.strip():
        what = "has no text" if text is None or isinstance(text, str) else "is no document"
        raise ValueError(f"its passage {place} {what}")
    name, title = metadata.get("id", identifier), metadata.get("title")
    return {
        "text": text,
        "title": title if isinstance(title, str) else "",
        "id": "" if name is None else str(name),
    }


def input_of(question: str, key: str) -> Any:
    """Return what a pipeline is called with: the question, or a mapping with it.

    Args:
        question: The question.
        key: Its key; ``messages`` for a chat; empty for the question alone.
    """
    if not key:
        return question
    turns: Sequence[Mapping[str, str]] = [{"role": "user", "content": question}]
    return {key: turns if key == "messages" else question}
