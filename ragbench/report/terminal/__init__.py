"""A run in a terminal.

columns  the lines of a table, folded where they are wider than the terminal
screen   the first screen of a run: verdict, cells, bars
"""
