"""Estimates, intervals and tests, as functions of arrays.

inference     what every method answers: limits at a level, p against a value
paired        two cells of right and wrong answers: McNemar's test, Tango's interval
studentised   other values: Student's t with Hall's correction for skewness
clustered     questions in clusters: flips of whole clusters, the CR2 variance
averages      the mean of several tasks
estimate      an effect with its interval and tests, by the method that fits its data
intervals     the interval of one mean
multiplicity  Holm, Benjamini and Hochberg
pooled        the meta-analysis of five tasks and more
power         what a number of questions finds
foretold      what flips of clusters would find
sequential    e-values and confidence sequences, valid at any look
"""
