"""Parts of an analysis that stand by themselves.

leakage     questions and answers that stand in passages
duplicates  questions asked twice
curves      accuracy by the number of passages
policies    accuracy under three policies for replies without an answer
aggregates  averages over tasks, and baselines
clue        CLUE's scores of a level
"""
