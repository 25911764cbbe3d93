"""Models that vLLM's offline engine runs on this machine.

model   the backend ``vllm``
engine  the engine: its keys, its start, and requests of several threads as one batch
"""
