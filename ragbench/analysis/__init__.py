"""The analysis: reads run folders alone, and imports neither torch nor FAISS.

load        the tables of a run
merged      arms that gave the same prompts, which are one arm to every effect
clusters    which questions count as one
family      kinds of effects, and which of them are primary
effects     every effect of a run, as rows
judging     the primary effects after each look at a run under way
stopping    figures of effects in a run that may stop early
results     every figure of a run, as rows
csvfile     tables as CSV without formulas
needed      how many questions its effects need
compare     cells of two runs against each other
quality     retrieval quality over queries, and what parts two retrievers
querykinds  retrieval with written queries against retrieval with the question
notebook    a run for notebooks
statistics  estimates, intervals and tests
panels      analyses beside the effects
"""
