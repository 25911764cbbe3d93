"""What all charts share: a frame, a style, and the way from charts to a figure of a paper.

Every chart is drawn once, as SVG, by the template of its kind. The page includes it; a figure is
one or more of them in a file of their own, which is converted for PNG and PDF.

No chart library draws them. Compared on one forest plot of twelve rows on two cores:

                            here           matplotlib 3.11   altair and vl-convert
further size on disk        0 MB           96 MB             103 MB
first chart                 0.03 s         1.5 s             2.0 s
next chart                  0.03 s         0.18 s            0.22 s
SVG                         7 kB           17 kB             15 kB
names for screen readers    chart, rows    chart             marks
text at 360 pixels          as large       half as large     half as large
dark page                   by variables   colours fixed     colours fixed

Both libraries fix the ratio of text to chart, so that text shrinks on a phone, and write colours
out; a page that follows the reader's colours would have to rewrite their SVG. PNG and PDF need
Typst here (81 MB, only in the extra ``report``); SVG needs nothing.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ragbench.base.files import write_bytes

FOLDER = Path(__file__).parent
MARGIN_PX, LINE_PX = 16, 18
PNG_PPI = 300.0
# A page of the figure's size.
PAPER = b"""
#set page(width: auto, height: auto, margin: 0pt)
#set document(date: none)
#image(bytes(sys.inputs.svg), format: "svg")
"""
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Paper:
    """The width of a figure.

    Attributes:
        width_px: Width in the units of the drawing, in which text has 13.
        width_in: Width in inches where it is printed.
        caption: Characters in a line of its caption.
    """

    width_px: int
    width_in: float
    caption: int


SCREEN = Paper(640, 640 / 96, 80)
# A column of a journal: 13 of 386 units in 3.3 inches are 8 points.
COLUMN = Paper(386, 3.3, 46)


@dataclass(frozen=True)
class Drawing:
    """A chart; the file ``KIND.svg.j2`` draws what is inside its frame.

    Attributes:
        key: Prefix of its elements' ids, and the name of its file.
        title: What it shows.
        description: How to read it.
        height_px: Height of the frame; its width is the reader's.
    """

    kind: ClassVar[str]
    key: str
    title: str
    description: str
    height_px: int

    @property
    def caption(self) -> str:
        """The text above the chart."""
        return self.title


Panel = tuple[list[tuple[str, int]], int, Drawing]  # lines of the caption, place, chart


def templates(*folders: Path) -> Environment:
    """Return an environment that finds the templates of the charts and those of other folders."""
    return Environment(
        loader=FileSystemLoader([*folders, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def style() -> str:
    """Return the style sheet of the charts; its first rule holds the colours for light paper."""
    return (FOLDER / "charts.css").read_text(encoding="utf-8")


def height_in(drawings: Sequence[Drawing], paper: Paper) -> float:
    """Return the height of a figure of charts in inches."""
    return _panels(drawings, paper)[1] * paper.width_in / paper.width_px


def _panels(drawings: Sequence[Drawing], paper: Paper) -> tuple[list[Panel], int]:
    """Return each chart with its place below its caption, and the height of all."""
    panels, y_px = [], MARGIN_PX
    for drawing in drawings:
        lines = textwrap.wrap(drawing.caption, paper.caption)
        captions = [(line, y_px + LINE_PX * n) for n, line in enumerate(lines, 1)]
        y_px += LINE_PX * len(lines) + MARGIN_PX
        panels.append((captions, y_px, drawing))
        y_px += drawing.height_px + MARGIN_PX
    return panels, y_px


def figure(drawings: Sequence[Drawing], paper: Paper = SCREEN) -> str:
    """Return charts one below the other as SVG that depends on no other file.

    Colours are written out, because converters know no variables. Characters that XML excludes
    become U+FFFD.
    """
    colours, _, rules = style().partition("}\n")
    palette = dict(re.findall(r"--(\w+): ([^;]+);", colours))
    panels, y_px = _panels(drawings, paper)
    text = (
        templates()
        .get_template("figure.svg.j2")
        .render(
            panels=panels,
            width_px=paper.width_px,
            height_px=y_px,
            width_in=paper.width_in,
            height_in=round(y_px * paper.width_in / paper.width_px, 4),
            margin_px=MARGIN_PX,
            paper=palette["paper"],
            style=Markup(re.sub(r"var\(--(\w+)\)", lambda found: palette[found[1]], rules)),  # noqa: S704 - our own file
        )
    )
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def can_convert() -> bool:
    """Return whether SVG can be converted to PNG and PDF."""
    return find_spec("typst") is not None


def save(svg: str, path: Path) -> None:
    """Write a figure in the format of the file's ending: svg, or png and pdf by Typst.

    Typst writes no dates here, so that the same SVG gives the same bytes; where the machine has
    none of the fonts, Typst uses its own.
    """
    data = svg.encode("utf-8")
    if path.suffix != ".svg":
        import typst

        kind: Literal["pdf", "png"] = "pdf" if path.suffix == ".pdf" else "png"
        data = typst.compile(PAPER, format=kind, ppi=PNG_PPI, sys_inputs={"svg": svg})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)
