"""Parsers that know no corpus.

xml        XML that is not trusted
jats       articles and book chapters in JATS
obo        ontologies in OBO
tables     rows of CSV, TSV, Parquet and Excel files
archives   members of tar and zip archives
documents  texts of PDF, DOCX, HTML and Markdown files
worker     a process of its own for parsers that may hang or crash
"""
