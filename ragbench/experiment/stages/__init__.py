"""The stages of a run around its answers: retrieve, deliver, prompt, score.

retrieve   one ranking per source and task
documents  whole documents of a question
arms       kinds of arms, and packing within a budget
controls   random, near, oracle, shuffled, moved, misled
planting   wrong options in place of the right answer
deliver    passages that each arm delivers, saved
prompts    the one template of all prompts
budget     the budget of passages, where the config names none
score      records -> outcomes and metrics
"""
