"""Text, title and metadata of a Markdown file; the block of metadata before it is no text."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from ragbench.base.yamlfile import parse_value
from ragbench.corpora.formats.raised import END, OWN, SCRIPTS, plain

FRONT = re.compile(
    r"(---|\+\+\+)[ \t]*\n(.*?)^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
MAX_FRONT = 1 << 16  # characters
OWN_KEYS = ("start", "end", "cut", "page", "duplicate_of")  # that ragbench writes into meta itself
SCRIPT = re.compile(r"<(sup|sub)>([^<>\n]*)</\1>", re.IGNORECASE)


def read_markdown(source: str) -> tuple[str, str, dict[str, str]]:
    """Return the title (of the metadata, else of the first heading), the text and the metadata.

    Metadata is YAML between lines of ``---``, or TOML between lines of ``+++``, at the beginning.
    A block that is neither is text.
    """
    meta, text = _front(source)
    text = SCRIPT.sub(lambda m: f"{SCRIPTS[m[1].lower()]}{m[2]}{END}", text.translate(OWN))
    text = plain(text)
    return meta.pop("title", "") or _heading(text), text, meta


def _front(source: str) -> tuple[dict[str, str], str]:
    """Return the metadata before a text, and the text."""
    found = FRONT.match(source[:MAX_FRONT])
    if found is None:
        return {}, source
    try:
        value: Any = tomllib.loads(found[2]) if found[1] == "+++" else parse_value(found[2])
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}, source
    if not isinstance(value, dict):
        return {}, source
    meta = {
        f"stated_{key}" if key in OWN_KEYS else str(key): _shown(each)
        for key, each in value.items()
        if each not in (None, "", [])
    }
    return meta, source[found.end() :]


def _shown(value: object) -> str:
    """Return a value as text; those of a list are parted by ``; ``."""
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return "; ".join(map(_shown, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return " ".join(str(value).split())


def _heading(text: str) -> str:
    """Return the first heading outside code; empty if there is none."""
    is_code = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            is_code = not is_code
        elif not is_code and (found := re.match(r" {0,3}#{1,6}[ \t]+([^\n]*)", line)):
            return found[1].rstrip().rstrip("#")
    return ""
