"""BM25 over one corpus.

index      the kind ``bm25``: building, searching
recipe     its recipe, and what an index takes
tokenise   a text's words as terms
lexicon    terms and their numbers
inversion  postings, built in runs that fit into memory
kernels    the compiled loops
okapi      rank-bm25's formula, and rank-bm25 itself
"""
