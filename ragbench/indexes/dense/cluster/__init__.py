"""Encoding on the machines of a Ray cluster.

encoding  which cluster encodes, and its workers with an encoder each
"""
