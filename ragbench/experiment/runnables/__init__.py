"""Pipelines of the user's as arms: called once per question, in a process of their own.

calling   the calls of an arm, saved and resumed, and the passages that they gave
"""
