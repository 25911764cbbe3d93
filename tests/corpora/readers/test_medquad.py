"""The MedQuAD reader: every shape of a file, and real files against an earlier conversion."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.medquad import MedquadOptions, MedquadReader
from tests.conftest import ragbench

FULL = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="0000001_1" source="CancerGov" url="https://example.org/all?a=1&amp;b=2">
<Focus>Acute  leukemia</Focus>
<FocusAnnotations><UMLS><CUIs><CUI>C1</CUI><CUI>C2</CUI></CUIs>
<SemanticTypes><SemanticType>T191</SemanticType></SemanticTypes>
<SemanticGroup>Disorders</SemanticGroup></UMLS></FocusAnnotations>
<QAPairs>
<QAPair pid="1"><Question qid="0000001_1-1" qtype="information">What is
  leukemia ?</Question><Answer>Key   Points

      - &quot;One&quot;
      - Two &lt;b&gt; </Answer></QAPair>
<QAPair pid="3"><Question qid="0000001_1-3" qtype="outlook">Outlook?</Question><Answer> </Answer>
</QAPair>
<QAPair pid="7"><Question qid="0000001_1-7">Stages?</Question><Answer>Four.</Answer></QAPair>
</QAPairs></Document>
"""


def read(path: Path) -> list[Located | Skipped]:
    return list(MedquadReader(path, MedquadOptions()).read())


def test_a_file_read_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "0000001_1.xml"
    path.write_text(FULL, encoding="utf-8")
    base = {
        "source": "CancerGov",
        "url": "https://example.org/all?a=1&b=2",
        "focus": "Acute leukemia",
        "cuis": "C1; C2",
        "semantic_types": "T191",
        "semantic_group": "Disorders",
    }
    first, last = "CancerGov_0000001_1_Sec1", "CancerGov_0000001_1_Sec3"
    text = 'Key Points\n- "One"\n- Two <b>'
    assert read(tmp_path) == [
        Located(
            Passage(
                first, first, "What is leukemia ?", text, base | {"question_type": "information"}
            ),
            f"{path}: pair 1",
        ),
        Skipped("no answer", f"{path}: pair 2"),
        Located(Passage(last, last, "Stages?", "Four.", base), f"{path}: pair 3"),
    ]


def test_folders_are_read_by_number_and_files_by_name(tmp_path: Path) -> None:
    for name in ("10_ADAM/0000001", "2_GARD/0000010", "2_GARD/0000009", "1_CancerGov/0000002"):
        path = tmp_path / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(FULL, encoding="utf-8")
    (tmp_path / "readme.txt").write_text("not data", encoding="utf-8")
    found = MedquadReader(tmp_path, MedquadOptions()).sources()
    assert [str(p.relative_to(tmp_path)) for p in found] == [
        "1_CancerGov/0000002.xml",
        "2_GARD/0000009.xml",
        "2_GARD/0000010.xml",
        "10_ADAM/0000001.xml",
    ]


def test_a_document_without_pairs_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "1.xml"
    path.write_text('<DiseaseFile source="CDC"><QAPairs/></DiseaseFile>', encoding="utf-8")
    assert read(tmp_path) == [Skipped("no question", str(path))]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (FULL[:-30], "the file is not whole XML"),
        ("<html/>", "the file is not one of MedQuAD's"),
        ("<Document><QAPairs/></Document>", "the document has no source"),
        ('<!DOCTYPE r [<!ENTITY x "y">]>' + FULL.split("?>", 1)[1], "the XML declares entities"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "0.xml").write_text(FULL, encoding="utf-8")
    path = tmp_path / "1.xml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert caught.value.what.startswith(what)
    assert caught.value.where == str(path)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="the medquad reader needs a path"):
        MedquadReader(None, MedquadOptions())
    for path, what in (
        (tmp_path / "none", "the MedQuAD collection is not there"),
        (tmp_path, "the folder holds no file with one of the endings .xml"),
    ):
        with pytest.raises(DataError) as caught:
            MedquadReader(path, MedquadOptions()).sources()
        assert caught.value.what == what
        assert "https://github.com/abachaa/MedQuAD" in caught.value.fix
        assert "1_CancerGov_QA/*.xml" in caught.value.fix


def test_the_card_tells_where_to_get_the_collection(home: Path) -> None:
    failed = ragbench(home, "corpus", "build", "medquad")
    assert failed.returncode == 3
    assert str(home / "corpora" / "medquad-xml") in failed.stderr
    assert "https://github.com/abachaa/MedQuAD" in failed.stderr
    folder = home / "corpora" / "medquad-xml" / "1_CancerGov_QA"
    folder.mkdir(parents=True)
    (folder / "0000001_1.xml").write_text(FULL, encoding="utf-8")
    built = ragbench(home, "corpus", "build", "medquad")
    assert built.returncode == 0, built.stderr
    assert "2 passages" in built.stdout
    assert "skipped 1 with no answer" in built.stdout


def test_real_files_give_the_passages_of_the_earlier_conversion(shared_data: Path) -> None:
    corpora = shared_data / "corpora"
    with gzip.open(corpora / "medquad.jsonl.gz", "rt", encoding="utf-8") as handle:
        lines = [json.loads(line) for line in handle]
    reader = MedquadReader(corpora / "medquad_xml_sample", MedquadOptions())
    files = {f"{path.parent.name}/{path.name}" for path in reader.sources()}
    assert len(files) == 204
    expected = [line for line in lines if line["file"] in files]
    entries = list(reader.read())
    passages = [entry.passage for entry in entries if isinstance(entry, Located)]
    assert len(passages) == 1187
    assert [(p.id, p.title, p.text) for p in passages] == [
        (line["id"], line["title"], line["text"]) for line in expected
    ]
    for key, field in (("question_type", "qtype"), ("focus", "focus"), ("url", "url")):
        assert [p.meta.get(key, "") for p in passages] == [line[field] for line in expected]
    skipped = Counter(entry.reason for entry in entries if isinstance(entry, Skipped))
    assert skipped == {"no answer": 26, "no question": 4}
