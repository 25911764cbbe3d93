"""Corpora: a card says where passages come from, a reader streams them, a store serves them.

formats     parsers that know no corpus: XML, JATS, OBO, tables, archives, documents
reader      the protocol that corpus readers meet, and the base of those that read files
readers     the readers, and the table of their names
chunking    the chunkers, their table, and a reader that cuts documents
duplicates  a reader that drops repeated passages
card        the YAML file ``corpora/NAME.yaml``
corpus      the protocol of open corpora, and the manifest of a built one
store       memory-mapped passages; ``npy`` maps their arrays
union       several corpora as one; ``union_reader`` reads their sources
open        opens a built corpus of either kind by name
cleaned     texts without invisible characters, with letters and accents joined
terms       whether a corpus is restricted
ingest      reader -> Arrow file, in parts that survive a kill
build       card -> reader -> store; ``union_build`` for unions
check       whether a built corpus is whole and its source unchanged
"""
