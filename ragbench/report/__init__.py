"""The report on a run: reads the analysis alone, and writes every file that a person opens.

headline   the answer in a sentence, a card per pair and task, and what cannot be said
verdict    sentences that are no stronger than the figures
tables     headers and rows of the main tables, and how numbers are written
baselines  the same answer to every question
cost       tokens and seconds, and the points gained for them
leakage    what the passages give away, scores by part, duplicates
evidence   what the gold passages did, and what planted errors did
policies   replies without an answer
published  published figures beside the run's own
sections   the parts of a report: tables, charts and notes
charts     every chart as SVG
page       the report as one HTML file
markdown   the report in Markdown
paper      small tables for a paper, in LaTeX
stopping   what was done in a run that may stop early
imported   the methods of imported runs
export     tables as CSV, a paper's as LaTeX, figures as PNG, SVG and PDF
write      all files of a report
"""
