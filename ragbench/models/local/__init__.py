"""Models that run in this process.

hf          transformers: a hub id, a local folder, a GGUF file, or weights in a package
options     the keys of this backend
batches     how many prompts share a pass, and what happens where memory is short
tree        many prompts with their options in one pass
prefix      log-likelihoods of options with the prompt computed once, for models that fit no tree
measuring   how many tokens a pass should have on this device
loading     weights in memory, on one device or several
quantised   number formats with few bits, and whether they can be loaded here
skeleton    a model's size and attention, by its config alone
generation  greedy replies
context     the tokens that a model reads at most
adapter     PEFT adapters, merged at load
gguf        a GGUF file, converted once into a cached safetensors folder
"""
