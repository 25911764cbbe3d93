"""The experiment: from a config to a run folder of raw records and their scores.

config    the YAML of an experiment, resolved and checked
resume    whether a run folder goes on: its identity is compared
grid      the experiment's parts, made from a config
retrieve  one retrieval a retriever and task, saved as a TREC run
arms      what each arm gives a question, and their table; ``pack`` delivers within the budget
prompts   the one template, with and without passages
trust     restricted data is sent to no server that is not trusted
answer    models answer, record by record
in_flight several questions at a time
score     records -> scores
plan      what a run would do
run       all of it, in order
"""
