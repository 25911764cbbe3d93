"""The verdict: sentences about a run, no stronger than its figures.

verdict     all sentences in their order
limits      what the run cannot show
written     arms whose queries or passages a model wrote
delivered   arms that delivered fewer passages than they request
notes       notes on tasks, pairs and prompts
clauses     a clause on one effect
averages    averages over tasks
unanswered  replies without an answer
card        the 2 x 2 of a pair on a task, and its three numbers
takeaways   the answer in one sentence and four lines
"""
