"""The report: reads the analysis alone.

tables    headers and rows of every table
markdown  tables and text in Markdown
figure    accuracy by arm, as a figure
write     all files of a report
"""
