"""Estimates, intervals and tests, as functions of arrays.

intervals     Wilson's interval, bootstrap, clusters
paired        McNemar's test, sign flips, paired differences
multiplicity  Holm, Benjamini and Hochberg
pooled        estimates over tasks
estimate      an estimate with its interval
power         the smallest difference that a number of questions finds
"""
