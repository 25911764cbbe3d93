"""Words of diagrams and charts, as Word writes their files."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest

from ragbench.corpora.formats.drawn import drawn, related
from ragbench.corpora.formats.raised import plain

A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
DGM = f'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" {A}'
C = f'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" {A} {R}'
CX = f'xmlns:cx="http://schemas.microsoft.com/office/drawing/2014/chartex" {A}'
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"


def run(text: str, properties: str = "") -> str:
    return f"<a:r><a:rPr {properties}/><a:t>{text}</a:t></a:r>"


def paragraph(*runs: str) -> str:
    return f"<a:p>{''.join(runs)}<a:endParaRPr/></a:p>"


def point(key: str, text: str = "", kind: str = "") -> str:
    typed = f' type="{kind}"' if kind else ""
    body = paragraph(run(text)) if text else paragraph()
    return f'<dgm:pt modelId="{key}"{typed}><dgm:prSet/><dgm:t><a:bodyPr/>{body}</dgm:t></dgm:pt>'


def edge(source: str, target: str, order: int, *, arrow: str = "", kind: str = "") -> str:
    typed = f' type="{kind}"' if kind else ""
    return (
        f'<dgm:cxn modelId="{source}{target}"{typed} srcId="{source}" destId="{target}" '
        f'srcOrd="{order}" destOrd="0" parTransId="p{target}" sibTransId="{arrow}"/>'
    )


def diagram(points: str, edges: str) -> str:
    lists = f"<dgm:ptLst>{points}</dgm:ptLst><dgm:cxnLst>{edges}</dgm:cxnLst>"
    return f"<dgm:dataModel {DGM}>{lists}</dgm:dataModel>"


def cached(*values: str, kind: str = "str", code: str = "") -> str:
    points = "".join(f'<c:pt idx="{n}"><c:v>{v}</c:v></c:pt>' for n, v in enumerate(values))
    form = f"<c:formatCode>{code}</c:formatCode>" if code else ""
    cache = f'{form}<c:ptCount val="{len(values)}"/>{points}'
    return (
        f"<c:{kind}Ref><c:f>Sheet1!$A$1</c:f><c:{kind}Cache>{cache}</c:{kind}Cache></c:{kind}Ref>"
    )


def title(*runs: str) -> str:
    return f"<c:title><c:tx><c:rich><a:bodyPr/>{paragraph(*runs)}</c:rich></c:tx></c:title>"


def series(name: str, categories: str, *values: str, more: str = "") -> str:
    numbers = cached(*values, kind="num", code="General")
    return (
        f"<c:ser><c:tx>{cached(name)}</c:tx>{more}<c:cat>{categories}</c:cat>"
        f"<c:val>{numbers}</c:val></c:ser>"
    )


def chart(inner: str, after: str = "") -> str:
    return f"<c:chartSpace {C}><c:chart>{inner}</c:chart>{after}</c:chartSpace>"


def words(xml: str, **more: str) -> str | None:
    found = drawn({name: fromstring(part) for name, part in {"it": xml, **more}.items()}, "it")
    return None if found is None else plain(found)


def test_the_shapes_of_a_diagram_are_read_in_the_order_of_its_outline() -> None:
    points = point("0", kind="doc") + point("3", "Biopsy") + point("1", "Proteinuria")
    points += point("2", "Confirm twice") + point("a", "then", "sibTrans") + point("4", kind="pres")
    points += point("x", "Aside", "asst") + point("pp", "style", "presentation")
    edges = edge("0", "3", 1) + edge("0", "1", 0, arrow="a") + edge("1", "2", 0)
    edges += edge("1", "4", 5, kind="presOf")
    assert words(diagram(points, edges)) == "Proteinuria\nConfirm twice\nthen\nBiopsy\nAside"


def test_a_diagram_whose_edges_run_in_a_ring_ends() -> None:
    points = point("0", kind="doc") + point("1", "One") + point("2", "Two")
    assert words(diagram(points, edge("1", "2", 0) + edge("2", "1", 0))) == "One\nTwo"


def test_a_chart_has_its_titles_series_and_categories_once() -> None:
    stages = cached("Stage 1", "Stage 2")
    axes = f"<c:catAx>{title(run('Kidney '), run('disease'))}</c:catAx>"
    unit = title(run("per 10"), run("9", 'baseline="30000"'), run("/l"))
    axes += f"<c:valAx>{unit}</c:valAx>"
    label = f"<c:dLbls><c:dLbl><c:tx><c:rich>{paragraph(run('peak'))}</c:rich></c:tx></c:dLbl>"
    bars = series("Men", stages, "4.3", "2.4", more=label + "</c:dLbls>")
    bars += series("Women", stages, "2.4", "4.4")
    xml = chart(f"{title(run('Prevalence'))}<c:plotArea><c:barChart>{bars}</c:barChart>{axes}")
    found = words(xml.replace("</c:chart>", "</c:plotArea></c:chart>"))
    assert found is not None
    assert found.split("\n") == [
        "Prevalence",
        "Kidney disease",
        "per 10^9/l",
        "Men | Women",
        "Stage 1 | Stage 2",
        "peak",
    ]


@pytest.mark.parametrize(
    ("categories", "line"),
    [
        (cached("2021", "2022", kind="num", code="General"), "\n2021 | 2022"),
        (cached("44197", "44562", kind="num", code="m/d/yyyy"), ""),  # days, shown as dates
        (
            "<c:multiLvlStrRef><c:multiLvlStrCache>"
            '<c:lvl><c:pt idx="0"><c:v>Men</c:v></c:pt></c:lvl>'
            '<c:lvl><c:pt idx="0"><c:v>Old</c:v></c:pt></c:lvl>'
            "</c:multiLvlStrCache></c:multiLvlStrRef>",
            "\nMen\nOld",
        ),
    ],
)
def test_categories_are_read_where_their_cache_shows_them(categories: str, line: str) -> None:
    assert words(chart(series("Cases", categories, "1"))) == "Cases" + line


def test_a_title_may_be_a_cell_and_text_may_be_drawn_on_a_chart() -> None:
    linked = f"<c:title><c:tx>{cached('Survival')}</c:tx></c:title>"
    space = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" ' + A
    shape = f"<c:userShapes {space}><a:txBody>{paragraph(run('n = 20'))}</a:txBody></c:userShapes>"
    rels = (
        f'<Relationships xmlns="{RELS}"><Relationship Id="rId3" Target="../drawings/drawing1.xml"/>'
        "</Relationships>"
    )
    parts = {
        "word/charts/chart1.xml": chart(linked, '<c:userShapes r:id="rId3"/>'),
        "word/charts/_rels/chart1.xml.rels": rels,
        "word/drawings/drawing1.xml": shape,
    }
    found = drawn({name: fromstring(xml) for name, xml in parts.items()}, "word/charts/chart1.xml")
    assert found == "Survival\nn = 20"


def test_charts_of_the_newer_kind() -> None:
    data = '<cx:data id="0"><cx:strDim type="cat"><cx:f>A</cx:f><cx:lvl ptCount="2">'
    data += '<cx:pt idx="0">Fever</cx:pt><cx:pt idx="1">Rash</cx:pt></cx:lvl></cx:strDim></cx:data>'
    text = "<cx:tx><cx:txData><cx:v>{}</cx:v></cx:txData></cx:tx>"
    drawn_series = f"<cx:series>{text.format('Cases')}</cx:series>"
    inner = f"<cx:chartData>{data}</cx:chartData><cx:chart><cx:title>{text.format('Signs')}"
    inner += f"</cx:title>{drawn_series}</cx:chart>"
    found = words(f"<cx:chartSpace {CX}>{inner}</cx:chartSpace>")
    assert found == "Signs\nCases\nFever | Rash"


def test_targets_are_found_from_the_folder_of_their_part_and_others_are_not() -> None:
    one = '<Relationship Id="{}" Target="{}" {}/>'
    rels = one.format("a", "charts/chart1.xml", "") + one.format(
        "b", "/word/diagrams/data1.xml", ""
    )
    rels += one.format("c", "https://far.example/x", 'TargetMode="External"')
    parts = {
        "word/_rels/document.xml.rels": fromstring(f'<R xmlns="{RELS}">{rels}</R>'),
    }
    assert related(parts, "word/document.xml") == {
        "a": "word/charts/chart1.xml",
        "b": "word/diagrams/data1.xml",
    }
    assert drawn(parts, "word/charts/chart1.xml") is None
