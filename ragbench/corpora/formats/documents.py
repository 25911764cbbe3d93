"""Text and title of one document file, by LangChain's loaders; run as a process, one after another.

As a process (``python -m ragbench.corpora.formats.documents``) it answers each line of JSON on
standard input, ``{path, kind, encoding}``, by one on standard output: ``{title, pages}``, or
``{fault, detail}``. A file that drives a parser astray so costs that process, not the build. What
is read is not trusted: sizes are bounded, and the XML within DOCX may not declare anything.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser, fromstring
from xml.parsers.expat import ExpatError, ParserCreate

MAX_FILE_BYTES = 1 << 28
MAX_XML_BYTES = 1 << 27  # of what is unpacked of a DOCX
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
DROPPED = ("script", "style", "template", "noscript", "head", "title", "svg")
BLOCKS = frozenset(
    "address article aside blockquote caption dd div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hr li main nav ol option p pre section table td th tr ul".split()
)
DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
# docx2txt takes any character for the dot, and whatever comes after the name, so here too.
READ_XML = re.compile(r"word/(document|header[0-9]*|footer[0-9]*).xml|docProps/core.xml")


class Fault(Exception):
    """A file that cannot be read; ``kind`` is few and short: it is what skips are counted by."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def read_document(path: Path, kind: str, encoding: str) -> tuple[str, list[str]]:
    """Read one file.

    Args:
        path: The file.
        kind: One of the kinds of ``ENDINGS``.
        encoding: Of text and Markdown, and of HTML that declares none.

    Returns:
        Its title, empty if it has none, and the text of its pages; one, if it has no pages.

    Raises:
        Fault: It is damaged, encrypted, too large or not of the encoding.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise Fault("too large a file", f"it has {size:,} bytes, at most {MAX_FILE_BYTES:,} go")
    title, pages = _READ[kind](path, encoding)
    return " ".join(_clean(title).split()), [_clean(page) for page in pages]


def _clean(text: str) -> str:
    """Replace halves of surrogate pairs, which some PDFs map their letters to."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


# -- text and Markdown ------------------------------------------------------------------------


def _text(path: Path, encoding: str) -> tuple[str, list[str]]:
    from langchain_community.document_loaders import TextLoader

    codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    try:
        (document,) = TextLoader(path, encoding=codec).load()
    except RuntimeError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise _undecodable(encoding, error.__cause__) from None
        raise error.__cause__ or error from None
    text = str(document.page_content)
    if "\0" in text:
        raise Fault("no text in its encoding", "it holds NUL characters: is it UTF-16, or no text?")
    return "", [text]


def _undecodable(encoding: str, error: UnicodeDecodeError) -> Fault:
    detail = f"it is not {encoding}: {error.reason} at byte {error.start + 1:,}"
    return Fault("no text in its encoding", detail)


def _markdown(path: Path, encoding: str) -> tuple[str, list[str]]:
    _, (text,) = _text(path, encoding)
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and (found := re.match(r" {0,3}#{1,6}[ \t]+([^\n]*)", line)):
            return found[1].rstrip().rstrip("#"), [text]
    return "", [text]


# -- HTML -------------------------------------------------------------------------------------


def _html(path: Path, encoding: str) -> tuple[str, list[str]]:
    (document,) = _html_loader(path, encoding).load()
    return document.metadata["title"], [document.page_content]


def _html_loader(path: Path, encoding: str) -> Any:
    """Return a loader that, unlike LangChain's own, parts blocks but not words by their markup."""
    from bs4 import BeautifulSoup
    from langchain_core.document_loaders import BaseLoader
    from langchain_core.documents import Document

    class HtmlLoader(BaseLoader):
        def lazy_load(self) -> Iterator[Document]:
            markup = _without_open_ends(_decoded_html(path.read_bytes(), encoding))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of XHTML, and of a lone word
                soup = BeautifulSoup(markup, "html.parser")
            heading = soup.title or soup.h1
            title = heading.get_text() if heading else ""
            lines = ("".join(parts).split() for parts in _blocks(soup))
            text = "\n".join(" ".join(words) for words in lines if words)
            yield Document(page_content=text, metadata={"title": title})

    return HtmlLoader()


def _without_open_ends(markup: str) -> str:
    """Return markup in which every opening sign that nothing closes is text.

    The parser looks for each of their ends up to the end of the page, which takes quadratic time.
    """
    for opening, closing in (("<!--", "-->"), ("<![", "]>"), ("<", ">")):
        end = markup.rfind(closing) + 1
        markup = markup[:end] + markup[end:].replace(opening, f"&lt;{opening[1:]}")
    return markup


def _blocks(soup: Any) -> Iterator[list[str]]:
    """Yield the strings of each block in order, in a time that grows as the page does."""
    from bs4 import Tag
    from bs4.element import CData, NavigableString

    block_of: dict[int, int] = {id(soup): id(soup)}  # 0 in what is dropped
    parts: list[str] = []
    last = id(soup)
    for node in soup.descendants:
        around = block_of[id(node.parent)]
        if isinstance(node, Tag):
            starts = node.name in BLOCKS and around
            block_of[id(node)] = 0 if node.name in DROPPED else id(node) if starts else around
            if node.name == "br":
                yield parts
                parts = []
        elif around and type(node) in (NavigableString, CData):  # comments are of other types
            if around != last:
                yield parts
                parts, last = [], around
            parts.append(node)
    yield parts


def _decoded_html(data: bytes, encoding: str) -> str:
    from bs4.dammit import EncodingDetector

    data, marked = EncodingDetector.strip_byte_order_mark(data)
    declared = EncodingDetector.find_declared_encoding(data, is_html=True)
    codec = marked or declared or encoding
    if codec.lower() in ("iso-8859-1", "latin-1", "ascii", "us-ascii"):
        codec = "cp1252"  # as every browser reads what calls itself so
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise _undecodable(codec, error) from None
    except LookupError:
        raise Fault("no text in its encoding", f"its encoding {codec!r} is unknown") from None
    if "\0" in text:
        raise Fault("no text in its encoding", "it holds NUL characters: is it UTF-16, or no text?")
    return text


# -- PDF --------------------------------------------------------------------------------------


def _pdf(path: Path, encoding: str) -> tuple[str, list[str]]:
    from langchain_community.document_loaders import PyPDFLoader
    from pypdf.errors import DependencyError, FileNotDecryptedError, WrongPasswordError

    try:
        pages = PyPDFLoader(str(path), mode="page").load()
    except (FileNotDecryptedError, WrongPasswordError, DependencyError) as error:
        raise Fault("encryption", f"it is encrypted: {error}") from None
    title = str(pages[0].metadata.get("title") or "") if pages else ""
    # A NUL stands for a letter that the font does not name.
    return title.replace("\0", ""), [str(p.page_content).replace("\0", "") for p in pages]


# -- DOCX -------------------------------------------------------------------------------------


def _docx(path: Path, encoding: str) -> tuple[str, list[str]]:
    from langchain_community.document_loaders import Docx2txtLoader

    title = ""
    with zipfile.ZipFile(path) as archive:
        parts = [part for part in archive.infolist() if READ_XML.match(part.filename)]
        # zipfile unpacks no more than what a part states, so that the sum is a bound.
        if (size := sum(part.file_size for part in parts)) > MAX_XML_BYTES:
            raise Fault("too large a file", f"it unpacks to {size:,} bytes: an archive bomb?")
        for part in parts:
            if part.flag_bits & 1:
                raise Fault("encryption", "it is encrypted")
            data = archive.read(part)
            _check_xml(data)
            if part.filename == "docProps/core.xml":
                title = _dc_title(data)
        if "word/document.xml" not in archive.namelist():
            raise Fault("damage", "it holds no word/document.xml, so it is no DOCX")
    (document,) = Docx2txtLoader(path).load()
    return title, [document.page_content]


def _check_xml(data: bytes) -> None:
    def refuse(*_: object) -> None:
        raise Fault("damage", "its XML declares a document type or entities, which are not read")

    guard = ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    guard.EntityDeclHandler = refuse
    guard.Parse(data, True)


def _dc_title(data: bytes) -> str:
    root: Element = fromstring(data, XMLParser())  # noqa: S314 - _check_xml has passed it
    return root.findtext(DC_TITLE) or ""


_READ: dict[str, Callable[[Path, str], tuple[str, list[str]]]] = {
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
        title, pages = read_document(Path(asked["path"]), asked["kind"], asked["encoding"])
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
    return json.dumps({"title": title, "pages": pages})


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
