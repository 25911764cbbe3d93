"""Sentence vectors in FAISS.

index          the kind ``faiss``: building, searching
recipe         its recipe
footprint      sizes of FAISS indexes, and the time of building them
encoders       what makes vectors of texts
encoder_model  one transformer with its pooling and normalisation
prompts        what a model states to be read before a text
embeddings     vectors on disk, in shards that survive a kill
precomputed    vectors that were made elsewhere
batches        batches of texts by a budget of tokens
flatcodes      exact search over a file of vectors
ann            approximate indexes, trained and filled in blocks
tuning         parameters of a search
recall         what an approximate index misses
gpu            FAISS on graphics cards
library        the installed FAISS, and what to install
"""
