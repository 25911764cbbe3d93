"""The run folder ``runs/NAME/``: one type for each of its files, with one reader and one writer.

The experiment and the importers write a run folder, the analysis and the report read it; both
wings know it by these types alone. ``docs/formats.md`` describes the same files for people.

schema      a dataclass from and to a JSON object, every field checked
paths       where each file of a run is, and how a run is found
runfile     ``run.json`` and ``sessions.jsonl``: the format's number, the session, the identity
config      the resolved config, as far as it is read again
settings    the settings of the analysis, with their defaults
facts       what is recorded of tasks, models, indexes and corpora
questions   ``questions/TASK.jsonl``
retrieval   ``retrieval/TASK+SOURCE.json`` and its measures
packed      ``packed/TASK+ARM.jsonl``: what each question got
passages    ``passages.jsonl`` and the prompts: texts, each once
records     ``records/MODEL+TASK+ARM.0.jsonl``: raw answers
scores      ``scores/MODE.parquet``: the columns and their types
"""
