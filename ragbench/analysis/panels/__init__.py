"""Analyses beside the effects, one module each.

leakage     what the passages give away of question, source and answer
written     the answer in what models wrote, and what retrieval adds to it
duplicates  questions that a task asks more than once
curves      scores by the number of passages, and by the place of the gold one
evidence    what the gold passages of an arm did, in five shares
misled      how often a model follows an error planted in its passages
citations   which passages replies name, and whether they are gold
abstaining  risk against coverage where a model may decline
costs       tokens, seconds and money of a cell, and of what was written before it
frontier    scores against all that an arm costs
policies    accuracy under three policies for replies without an answer
aggregates  figures of a whole cell that are no means over questions
clue        the averages and levels of CLUE
"""
