"""The words of diagrams (SmartArt) and charts of an Office document, which are files of their own.

A document's part names them by relationships. Their words are strings of DrawingML: what is shown
of a chart are the strings that the file caches, not the cells of the workbook in it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from ragbench.corpora.formats.raised import DOWN, END, OWN, UP

FILES = r"diagrams/data[^/]*|charts/chart[^/]*|drawings/drawing[^/]*"
NODES = ("", "node", "asst")  # points of a diagram that are shapes with a text
DATED = re.compile("[ymdh]")  # a format of numbers that shows them as dates


def name_of(node: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(node.tag).rpartition("}")[2]


def value_of(node: Element | None, name: str = "val") -> str:
    """Return an attribute, whichever edition's namespace it is written in."""
    found = {} if node is None else node.attrib
    return next((value for key, value in found.items() if key.rpartition("}")[2] == name), "")


def child_of(node: Element | None, name: str) -> Element | None:
    """Return the first child of a name."""
    return next((child for child in node or () if name_of(child) == name), None)


def relationships(part: str) -> str:
    """Return the name of the file with the relationships of a part."""
    folder, _, name = part.rpartition("/")
    return f"{folder}/_rels/{name}.rels"


def related(parts: Mapping[str, Element], part: str) -> dict[str, str]:
    """Return the name of each part that a part refers to, by the id of the relationship."""
    root = parts.get(relationships(part))
    return {
        value_of(one, "Id"): posixpath.normpath(
            posixpath.join("/", posixpath.dirname(part), value_of(one, "Target"))
        ).lstrip("/")
        for one in (root if root is not None else ())
        if value_of(one, "TargetMode") != "External"
    }


def drawn(parts: Mapping[str, Element], part: str) -> str | None:
    """Return the words of a diagram or chart, a line per shape or list of labels, each once.

    Exponents and indices are marked, as ``raised.plain`` reads them. None if the part is missing.
    """
    root = parts.get(part)
    if root is None:
        return None
    lines = _diagram(root) if name_of(root) == "dataModel" else _chart(root)
    for shapes in _every(root, "userShapes"):
        name = related(parts, part).get(value_of(shapes, "id"), "")
        lines += [_words(body) for body in _every(parts.get(name), "txBody")]
    return "\n".join(dict.fromkeys(line for line in lines if line.strip()))


def _diagram(root: Element) -> list[str]:
    """Return the texts of a diagram's shapes in the order of its outline."""
    points = {value_of(point, "modelId"): point for point in _every(root, "pt")}
    edges: dict[str, list[Element]] = {}
    for edge in _every(root, "cxn"):
        if value_of(edge, "type") in ("", "parOf"):
            edges.setdefault(value_of(edge, "srcId"), []).append(edge)
    for each in edges.values():
        each.sort(key=lambda edge: int("0" + value_of(edge, "srcOrd")))
    order: dict[str, None] = {}
    waiting = [key for key, point in points.items() if value_of(point, "type") == "doc"][::-1]
    while waiting:
        key = waiting.pop()
        if key not in order:
            order[key] = None
            for edge in reversed(edges.get(key, ())):  # an arrow's text follows its first shape's
                waiting += [value_of(edge, "sibTransId"), value_of(edge, "destId")]
                waiting.append(value_of(edge, "parTransId"))
    order |= dict.fromkeys(key for key, p in points.items() if value_of(p, "type") in NODES)
    return [_words(points[key]) for key in order if key in points]


def _chart(root: Element) -> list[str]:
    """Return the titles and texts of a chart, the names of its series, and its categories."""
    titles = [_words(title) or _row(title) for title in _every(root, "title")]
    series = [_row(child_of(one, "tx")) for one in _every(root, "ser", "series")]
    labels = [_words(label) for label in _every(root, "dLbl")]
    categories = [
        _row(level)
        for axis in _every(root, "cat", "strDim")
        if not DATED.search("".join(code.text or "" for code in _every(axis, "formatCode")))
        for level in list(_every(axis, "lvl")) or [axis]
    ]
    return [*titles, " | ".join(filter(None, dict.fromkeys(series))), *categories, *labels]


def _row(node: Element | None) -> str:
    """Return the cached strings below an element in one line."""
    points = list(_every(node, "pt")) or list(_every(node, "v"))
    return " | ".join(" ".join("".join(p.itertext()).translate(OWN).split()) for p in points)


def _words(node: Element) -> str:
    """Return the paragraphs of a shape or title in one line."""
    paragraphs = ("".join(_runs(paragraph)) for paragraph in _every(node, "p"))
    return " ".join(" ".join(paragraphs).split())


def _runs(paragraph: Element) -> Iterator[str]:
    for child in paragraph:
        text = child_of(child, "t")
        if name_of(child) == "br":
            yield " "
        elif text is not None:
            moved = value_of(child_of(child, "rPr"), "baseline").strip("0%")
            mark = (DOWN if moved.startswith("-") else UP) if moved else ""
            yield mark + (text.text or "").translate(OWN) + (END if mark else "")


def _every(node: Element | None, *names: str) -> Iterator[Element]:
    """Yield the elements of some names at and below an element."""
    return (found for found in (node.iter() if node is not None else ()) if name_of(found) in names)
