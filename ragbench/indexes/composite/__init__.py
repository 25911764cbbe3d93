"""Indexes that search other indexes.

hybrid         several indexes, joined by ``fusion``
fusion         reciprocal rank fusion
quota          a number of hits for each corpus of a union
rerank         the first hits of another index, in the order of a ``cross_encoder``
"""
