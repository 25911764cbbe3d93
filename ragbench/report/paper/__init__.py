"""Tables for a paper: small, in LaTeX, each as wide as a column.

compact  one small table per question: 2 x 2, effects, controls, retrieval quality
latex    a small table as LaTeX with booktabs
escapes  texts as LaTeX prints them
"""
