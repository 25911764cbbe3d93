"""The looks at a run that may stop early, and what must be asked together for them.

clusters   which questions count as one
stopped    stopped.json: what each cell was asked at each look, and what was decided
"""
