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
build     card -> reader -> store
store     memory-mapped passages
union     several corpora as one; ``union_build`` counts and orders what they have
check     whether a built corpus is whole and its source unchanged
"""
