"""Passages that a corpus has more than once.

duplicates  which passages of a stream are kept
digests     exact repeats, by digest
minhash     near repeats, by MinHash
"""
