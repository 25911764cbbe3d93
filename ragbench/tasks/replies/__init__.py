"""What a written reply answers.

replies  the readers, by the kind of answer and the scoring mode
answers  the option that a reply names
phrases  the forms in which replies state, hedge or deny an option
traces   reasoning traces, split off a reply
"""
