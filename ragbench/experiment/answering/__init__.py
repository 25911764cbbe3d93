"""Stage 2: every model answers every question of every arm.

units      whole questions that are answered together, and the shard that has them
opening    what has no answer yet; every prompt rendered and counted once
asks       the distinct prompts of a unit, and the questions that take each answer
answer     asking, unit by unit
rounds     answering in rounds, with a look after each
lanes      models that answer side by side
in_flight  several requests at a time
writing    records, appended by one thread
cache      replies of all runs of a home
merging    records of shards -> records of the run
spending   what answers cost, and whether more may be asked
watching   warnings while a run asks
"""
