"""Corpora: a card says where passages come from, a reader streams them, a store serves them.

card     the YAML file ``corpora/NAME.yaml``
reader   the protocol that readers meet
readers  the readers, and the table of their names
xml      XML that is not trusted
tables   rows of CSV, Parquet and Excel files
obo      the text format of ontologies
build    card -> reader -> store
store    memory-mapped passages
"""
