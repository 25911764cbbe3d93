"""Models that run in this process.

hf          transformers: a hub id, a local folder, a GGUF file, or weights in a package
prefix      log-likelihoods of options with the prompt computed once
generation  greedy replies
context     the tokens that a model reads at most
adapter     PEFT adapters, merged at load
gguf        a GGUF file, converted once into a cached safetensors folder
"""
