"""What a config comes to: tasks with their questions, models, and where arms get passages.

grid       the tasks, models and pairs of a config
parts      a task with its questions, an index, the source of an arm's ranking
questions  an entry of ``tasks`` -> a task with its questions
sources    which arms a task has, and what ranks their passages
gold       which passages hold a question's answer
building   corpora and indexes that must be built first
"""
