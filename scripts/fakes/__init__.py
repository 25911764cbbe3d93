"""Servers with the manners of each vendor, for tests and for trials by hand.

wire      a request and its answer
rule      a model whose numbers follow from a rule, so that a test computes what is right by hand
manners   what all vendors have in common
local     servers that people start themselves
hosted    services, and a gateway in front of one
failures  ways to misbehave
vendors   vendors by name
"""
