"""Pipelines of the user's, such as LangChain runnables, in a process of their own.

call     what a process is started with
process  the process: started, asked with a deadline, ended
child    what runs there: imports the code, calls it, counts its model calls
replies  what a pipeline may return, as passages or as a text
model    a pipeline as a model that writes replies
"""
