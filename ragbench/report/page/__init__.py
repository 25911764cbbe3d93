"""The report as one HTML file.

page    the file: its groups of parts, its style and its script
cards   the first screen: a card per pair
rows    tables with their primary rows first
browse  the data that its question browser reads

Its templates, styles and scripts are beside them, by purpose: the page itself, the summary, figures
and tables, the list of questions, one question.
"""
