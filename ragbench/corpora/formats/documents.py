"""Text, title and metadata of one document file; run as a process, one after another.

As a process (``python -m ragbench.corpora.formats.documents``) it answers each line of JSON on
standard input, ``{path, kind, encoding}``, by one on standard output: ``{title, pages, meta,
changes}``, or ``{fault, detail}``. A file that drives a parser astray so costs that process, not
the build. What is read is not trusted: sizes are bounded, and the XML within DOCX may not declare
anything.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError

from ragbench.corpora.formats.docx import read_docx
from ragbench.corpora.formats.html import read_html
from ragbench.corpora.formats.markdown import read_markdown
from ragbench.corpora.formats.parsed import (
    Fault,
    ParsedFile,
    encodable,
    undecodable,
    whole_text,
)

MAX_FILE_BYTES = 1 << 28
MEMORY_BYTES = 1 << 32
ENDINGS = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
}


def read_document(path: Path, kind: str, encoding: str) -> ParsedFile:
    """Return what one file holds.

    Args:
        path: The file.
        kind: One of the kinds of ``ENDINGS``.
        encoding: Of text and Markdown, and of HTML that declares none.

    Raises:
        Fault: It is damaged, encrypted, too large or not of the encoding.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise Fault("too large a file", f"it has {size:,} bytes, at most {MAX_FILE_BYTES:,} go")
    found = _READ[kind](path, encoding)
    return ParsedFile(
        " ".join(encodable(found.title).split()),
        tuple(map(encodable, found.pages)),
        {encodable(key): encodable(value) for key, value in found.meta.items()},
        found.changes,
    )


def _loaded(path: Path, encoding: str) -> str:
    from langchain_community.document_loaders import TextLoader

    codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    try:
        (document,) = TextLoader(path, encoding=codec).load()
    except RuntimeError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise undecodable(encoding, error.__cause__) from None
        raise error.__cause__ or error from None
    return whole_text(str(document.page_content))


def _text(path: Path, encoding: str) -> ParsedFile:
    return ParsedFile(pages=(_loaded(path, encoding),))


def _markdown(path: Path, encoding: str) -> ParsedFile:
    title, text, meta = read_markdown(_loaded(path, encoding))
    return ParsedFile(title, (text,), meta)


def _html(path: Path, encoding: str) -> ParsedFile:
    title, text, changes = read_html(path, encoding)
    return ParsedFile(title, (text,), changes=changes)


def _docx(path: Path, encoding: str) -> ParsedFile:
    title, text, changes = read_docx(path)
    return ParsedFile(title, (text,), changes=changes)


def _pdf(path: Path, encoding: str) -> ParsedFile:
    from langchain_community.document_loaders import PyPDFLoader
    from pypdf.errors import DependencyError, FileNotDecryptedError, WrongPasswordError

    try:
        pages = PyPDFLoader(str(path), mode="page").load()
    except (FileNotDecryptedError, WrongPasswordError, DependencyError) as error:
        raise Fault("encryption", f"it is encrypted: {error}") from None
    title = str(pages[0].metadata.get("title") or "") if pages else ""
    # A NUL stands for a letter that the font does not name.
    texts = tuple(str(page.page_content).replace("\0", "") for page in pages)
    return ParsedFile(title.replace("\0", ""), texts)


_READ: dict[str, Callable[[Path, str], ParsedFile]] = {
    "text": _text,
    "markdown": _markdown,
    "html": _html,
    "pdf": _pdf,
    "docx": _docx,
}


# -- the process ------------------------------------------------------------------------------


def answer(request: str) -> str:
    """Return the answer to one request, both lines of JSON."""
    asked = json.loads(request)
    try:
        found = read_document(Path(asked["path"]), asked["kind"], asked["encoding"])
    except Fault as fault:
        return json.dumps({"fault": fault.kind, "detail": str(fault)})
    except MemoryError:
        return json.dumps({"fault": "too large a file", "detail": "it needs too much memory"})
    except RecursionError:
        return json.dumps({"fault": "damage", "detail": "it is nested too deeply"})
    except (zipfile.BadZipFile, ParseError, ExpatError, EOFError) as error:
        return json.dumps({"fault": "damage", "detail": f"it is not whole: {error}"})
    except Exception as error:  # a broken file may fail anywhere in any of the libraries
        name, detail = type(error).__name__, str(error).strip().partition("\n")[0]
        return json.dumps({"fault": "damage", "detail": f"{name}: {detail}"})
    told = {"title": found.title, "pages": found.pages}
    more = {"meta": found.meta, "changes": found.changes}
    return json.dumps(told | {key: value for key, value in more.items() if value})


def main() -> None:
    """Answer requests until there are no more."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # what a library prints is no answer
        _bound_memory()
        for request in sys.stdin:
            out.write(answer(request) + "\n")
            out.flush()


def _bound_memory() -> None:
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    except (ValueError, OSError):
        return  # the system has no such limit


if __name__ == "__main__":
    main()
