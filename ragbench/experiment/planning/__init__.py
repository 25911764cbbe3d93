"""Plan a run without running it.

plan     grid, prompts and cost of a run
offline  plans where corpora, models or questions are missing
"""
