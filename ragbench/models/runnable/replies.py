"""What a pipeline returns, as passages or as a text: LangChain's objects, mappings or texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragbench.models.runnable.call import CHAT

TEXTS = ("page_content", "text")  # keys of a passage's text in a mapping
ANSWERS = ("answer", "output", "result", "messages")  # keys of an answer, the likeliest first
USERS = ("user", "human")
SHOWN_KEYS = 8


def passages_of(returned: Any, key: str) -> list[dict[str, str]]:
    """Return the passages, best first, each with a text, a title and an id, which may be empty.

    Args:
        returned: A list of passages, or a mapping with one.
        key: The key of that list; empty for the only list of documents in the mapping.

    Raises:
        ValueError: There are none, or one is not a passage.
    """
    found = _named(returned, key)
    if not key and isinstance(returned, Mapping):
        found = _only_list(returned)
    if not isinstance(found, list | tuple):
        raise ValueError(f"it returned a {type(found).__name__}, not a list of documents")
    return [_passage(member, place) for place, member in enumerate(found, 1)]


def text_of(returned: Any, key: str) -> str:
    """Return the answer, which may be empty.

    Args:
        returned: A text, a message, a list of messages of which the last is the answer, or a
            mapping with one of these.
        key: Its key in the mapping; empty for the first of ``ANSWERS`` there.

    Raises:
        ValueError: There is none, or the last message is the user's.
    """
    found = _named(returned, key)
    if not key and isinstance(returned, Mapping) and "content" not in returned:
        name = next((name for name in ANSWERS if returned.get(name) is not None), None)
        if name is None:
            raise ValueError(
                f"it returned a mapping without an answer; its keys are {_keys(returned)}: name "
                "one with `answer: KEY`"
            )
        found = returned[name]
    if isinstance(found, list | tuple) and found:
        found = found[-1]
    role, text = _message(found)
    if text is None:
        raise ValueError(f"it returned a {type(found).__name__}, not a text or a message")
    if role in USERS:
        raise ValueError("the last message that it returned is the user's")
    return text


def _message(value: Any) -> tuple[str, str | None]:
    """Return role and text of a message; no role for a text, no text for anything else."""
    from langchain_core.messages import BaseMessage

    if isinstance(value, BaseMessage):
        return value.type, _content(value.content)
    if isinstance(value, Mapping) and "content" in value:
        return str(value.get("role", "")), _content(value["content"])
    return "", value if isinstance(value, str) else None


def _content(value: Any) -> str | None:
    """Return the text of a content; of a list of blocks, that of its blocks of text."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list | tuple):
        return None
    parts = (block.get("text") if isinstance(block, Mapping) else block for block in value)
    return "".join(part for part in parts if isinstance(part, str))


def _named(returned: Any, key: str) -> Any:
    """Return what is under a key; all that was returned without one."""
    if not key:
        return returned
    if not isinstance(returned, Mapping):
        raise ValueError(f"it returned a {type(returned).__name__}, which has no key {key!r}")
    if key not in returned:
        raise ValueError(f"it returned no key {key!r}; its keys are {_keys(returned)}")
    return returned[key]


def _keys(returned: Mapping[Any, Any]) -> str:
    return ", ".join(map(repr, list(returned)[:SHOWN_KEYS])) or "(none)"


def _only_list(returned: Mapping[Any, Any]) -> Any:
    lists = [name for name, value in returned.items() if _are_documents(value)]
    filled = [name for name in lists if returned[name]]
    found = filled or lists
    if len(found) != 1:
        what = "several lists" if found else "no list"
        raise ValueError(
            f"it returned a mapping with {what} of documents; its keys are {_keys(returned)}: "
            "name one with `passages: KEY`"
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


def input_of(question: Any, key: str) -> Any:
    """Return what a pipeline is called with: the question, or a mapping with it.

    Args:
        question: The question as a text, or as the turns of a chat.
        key: Its key; ``messages`` for a chat; empty for the question alone.
    """
    if not key:
        return question
    if key == CHAT and isinstance(question, str):
        return {key: [{"role": "user", "content": question}]}
    return {key: question}
