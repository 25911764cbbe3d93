"""The experiment: from a config to a run folder of raw records and their scores.

config     the YAML of an experiment, resolved and checked
grid       tasks, models and sources of passages that a config names
stages     retrieve, deliver, answer, score
planning   what a run would do
importing  runs made elsewhere
resume     whether a run folder belongs to the same experiment
run        all stages, in order
"""
