"""The report: reads the analysis alone.

tables    headers and rows of every table
markdown  tables and text in Markdown
figure    accuracy by arm, as a figure
forest    the geometry of the forest plots
leakage   what the passages give away, scores without it, duplicates
browse    every question as data, for the page
page      the report as one HTML file
write     all files of a report
"""
