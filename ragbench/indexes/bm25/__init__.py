"""BM25 over one corpus.

index      the kind ``bm25``: building and searching
recipe     its recipe, and the size of an index
tokenise   texts -> terms
lexicon    terms and their numbers
inversion  postings, built in runs that fit into memory
kernels    the compiled loops over postings
splitting  the compiled loop over texts
okapi      rank-bm25's formula, and rank-bm25 itself
"""
