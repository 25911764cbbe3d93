"""Corpora: a card says where passages come from, a reader streams them, a store serves them.

card     the YAML file ``corpora/NAME.yaml``
reader   the protocol that readers meet, and the readers in ``readers/``
build    card -> reader -> store
store    memory-mapped passages
"""

from ragbench.corpora.reader import Reader
from ragbench.registry import Entry, Registry

readers: Registry[type[Reader]] = Registry(
    "readers",
    {
        "jsonl": Entry(
            "ragbench.corpora.readers.jsonl:JsonlReader",
            "JSON lines, plain or gzip; the names of the fields are options",
        ),
        "icd10cm": Entry(
            "ragbench.corpora.readers.icd10cm:Icd10cmReader",
            "the ICD-10-CM tabular list with its notes, from the package simple-icd-10-cm",
        ),
    },
    source=__file__,
)
