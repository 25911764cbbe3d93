"""The config of an experiment.

config         one YAML file, overrides, references checked
spec           its parts and every default
prompt_format  chat and plain prompts
trust          restricted data goes only to servers that are trusted
"""
