"""Estimates, intervals and tests: functions of arrays.

intervals     Wilson's interval, bootstrap, clusters
paired        McNemar's test, sign flips, paired differences
multiplicity  Holm, Benjamini and Hochberg
pooled        estimates over tasks
estimate      an estimate with its interval
power         the smallest difference that so many questions find
"""
