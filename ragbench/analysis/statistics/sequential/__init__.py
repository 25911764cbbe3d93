"""Statistics that stay valid however often one looks: e-values and confidence sequences.

units      what is drawn one after the other: questions, clusters
betting    bets on the mean of units: e-values, the confidence sequence, the closed form
tasks      bets on the plain average over tasks
families   e-Holm and e-BH
decide     which effects of a family are decided, and after how many questions
foreseen   how many questions it takes, before a run
"""
