"""Parsers that know no corpus.

xml        XML that is not trusted
raised     exponents, indices, formulas and citations of markup as plain text
jats       articles and book chapters in JATS
obo        ontologies in OBO
delimited  rows of CSV and TSV files
tables     rows of CSV, TSV, Parquet and Excel files
archives   members of tar and zip archives
documents  texts of PDF, DOCX, HTML and Markdown files, as a process
docx       text of a DOCX file
drawn      words of the diagrams and charts in it
html       text of an HTML page
markdown   text and metadata of a Markdown file
parsed     what reading a file gives, or why it cannot be read
worker     starts that process for parsers that may hang or crash
"""
