"""The analysis: reads run folders alone, and imports neither torch nor FAISS.

load       the tables of a run
intervals  Wilson's interval, the paired bootstrap
paired     helped and hurt, McNemar's exact test
results    every figure of a run, as rows
leakage    what of question, source and answer stands in the passages, and scores without it
duplicates questions that are asked twice
"""
