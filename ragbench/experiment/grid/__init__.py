"""A config resolved: tasks with questions, models, and the sources of passages.

grid       tasks, models and pairs of a config
parts      a task with its questions, an index, the source of an arm's ranking
questions  an entry of ``tasks`` -> a task with its questions
order      the questions in random order, where a run may stop early
sources    which arms a task has, and which source ranks their passages
written    what models have written, as retrieval and delivery take it
gold       passages that contain a question's answer
known      what a config names must exist
building   corpora and indexes that must be built first
"""
