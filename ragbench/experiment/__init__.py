"""The experiment: from a config to a run folder of raw records and their scores.

config     the YAML of an experiment, resolved and checked
grid       tasks, models and sources of passages that a config names
runnables  pipelines of the user's, called in a process of their own
stages     retrieve, deliver, score
answering  the answers of models, in this process or in shards
writing    queries, passages and judgements that models write before the answers
planning   what a run would do
importing  runs made elsewhere
resume     whether a run folder belongs to the same experiment
identity   config and facts that can change a result
run        all stages, in order
sharded    the same on many machines
"""
