"""The six tasks of CLUE (Dada et al. 2024).

clue          what the tasks over one file share: modes, and examples by mode
mednli        how a hypothesis relates to a sentence of a note
meqsum        a health inquiry as one question
problem_list  the active problems of a progress note
longhealth    questions on a patient's own documents, in three tasks
medisumqa     a patient's question on a discharge letter
medisumcode   the ICD-10-CM codes of a discharge summary
"""
