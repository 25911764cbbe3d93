"""The command ``ragbench index eval``.

options   options that the commands over indexes share
judged    rankings against judgements: each query's measures, and what was counted how
written   an index with the queries that models wrote for a run, beside its questions
evaluate  the command and what it prints
"""
