"""The stages of a run: retrieve, deliver, prompt, answer, score.

retrieve   one ranking per source and task
documents  whole documents of a question
arms       kinds of arms, and packing within a budget
controls   random, oracle, shuffled, moved
deliver    passages that each arm delivers, saved
prompts    the one template of all prompts
answer     every model answers every question
lanes      models that answer side by side
in_flight  several requests at a time
writing    records, appended by one thread
budget     the budget of passages, where the config names none
spending   what answers cost, and whether more may be asked
watching   warnings while a run asks
score      records -> outcomes and metrics
"""
