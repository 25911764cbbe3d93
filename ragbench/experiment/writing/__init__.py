"""What models write before the answers: queries, passages, and judgements of passages.

instructions  the prompts of all writings
parsing       replies -> queries and passages
asking        writings as cells, asked as questions are; each reply is a record
texts         queries and passages of a run
kinds         queries that models wrote for a run, as they are saved in its folder
rounds        follow-up queries in several rounds, each after a search
filtering     passages that a filter keeps
"""
