"""Rankings against judgements of relevance.

runfile  TREC runs and query files
qrels    judgements
"""
