"""An example of a package that adds one part of each kind to ragbench.

reader   ward notes as a corpus
index    passages by the number of words that they share with the query
backend  a model that grades pain by the words of the scale
local    the same model, allowed restricted data
task     pain, graded from 0 to 3
reply    the grade that a reply names
metric   how close that grade is to the right one

ragbench finds the parts by the entry points of the installed package. Its ``pyproject.toml``
would declare them under ``[project.entry-points."ragbench.readers"]`` and so on.
"""
