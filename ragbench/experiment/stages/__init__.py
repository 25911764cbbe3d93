"""The stages of a run: retrieve, deliver, prompt, answer, score.

retrieve   one ranking per source and task

documents  whole documents, and rankings within them
arms       what each kind of arm gives a question
controls   random, oracle, shuffled, moved
deliver    what each arm delivers, saved
prompts    the one template of all prompts
answer     every model answers every question
in_flight  several requests at a time
score      records -> outcomes and metrics
"""
