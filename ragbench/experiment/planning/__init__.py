"""What a run would do.

plan     its grid, prompts and cost
offline  a plan where corpora, models or questions are missing
"""
