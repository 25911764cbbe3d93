"""The six tasks of CLUE (Dada et al. 2024).

clue  what they share; each task has a file of its own
"""
