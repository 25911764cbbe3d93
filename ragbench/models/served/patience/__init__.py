"""What is done about servers that are away, busy or spent.

outages      waits for servers that are away, with one poller per server
refusals     the wait that a refusal asks for, and whether a quota is spent
"""
