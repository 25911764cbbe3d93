"""Indexes that are made of other indexes.

hybrid         several indexes, joined by ``fusion``
fusion         reciprocal rank fusion
quota          a number of hits for each corpus of a union
within         a ranking of a range of rows alone
rerank         the first hits of another index, in the order of a ``cross_encoder``
"""
