"""Pipelines of the user's as arms: called once per question, in a process of their own.

calling   the calls of an arm, saved and resumed, and the passages that they gave
process   the process: started, asked with a deadline, ended
child     what runs there: imports the code, calls it, counts its model calls
replies   what a pipeline may return, as passages
"""
