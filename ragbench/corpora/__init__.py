"""Corpora: a card says where passages come from, a reader streams them, a store serves them.

card      the YAML file ``corpora/NAME.yaml``
reader    the protocol that readers meet
readers   the readers, and the table of their names
xml       XML that is not trusted
obo       the text format of ontologies
tables    rows of CSV, Parquet and Excel files
chunker   the protocol that chunkers meet
chunkers  the chunkers, and the table of their names
measure   what counts the size of a chunk
packing   pieces of a text -> chunks
chunking  what a card says of chunks, and a reader that makes them
corpus    the protocol of open corpora, and the manifest of a built one
store     memory-mapped passages
union     several corpora as one
open      opens a built corpus of either kind by name
build     card -> reader -> store; ``ingest`` writes the passages, ``union_build`` the unions
check     whether a built corpus is whole and its source unchanged
"""
