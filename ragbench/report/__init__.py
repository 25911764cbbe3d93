"""The report: reads the analysis alone.

markdown  tables and text in Markdown
figure    accuracy by arm, as a figure
write     all files of a report
"""
