"""Plan a run without running it.

plan      grid, prompts and totals of a run
cost      tokens, time and money of each model
rates     questions a second of served models
weighing  letters of a few sample prompts
builds    what corpora and indexes take that are not built yet
written   what models write before the answers
passages  what arms would deliver to a sample of questions
devices   speeds of devices
offline   plans where corpora, models or questions are missing
"""
