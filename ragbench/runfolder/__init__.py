"""The run folder ``runs/NAME/``: one type for each of its files, with one reader and one writer.

The experiment and the importers write a run folder; the analysis and the report read it. Both sides
know it only by these types. ``docs/formats.md`` describes the same files for users.

schema      dataclasses from and to JSON objects, with every field checked
paths       paths of a run's files, and how a run is found
runfile     ``run.json`` and ``sessions.jsonl``: format number, session, identity
config      the part of the resolved config that is read again
settings    settings of the analysis, with their defaults
facts       recorded facts of tasks, indexes and corpora
questions   ``questions/TASK.jsonl``
retrieval   ``retrieval/TASK+SOURCE.json``, its measures, and the calls of a runnable
packed      ``packed/TASK+ARM.jsonl``: passages of each question; ``filtered/``: what was judged
passages    ``passages.jsonl`` and the prompts: texts, each once
records     ``records/MODEL+TASK+ARM.0.jsonl``: raw answers
scores      ``scores/MODE.parquet``: columns and their types
pairs       pairs of a biomedical model and its general base
looks       ``stopped.json``: the looks at a run that may stop early
sums        ``sums.json``: size and digest of every file, compared before a figure is printed
"""
