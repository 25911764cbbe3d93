"""The config of an experiment.

config         one YAML file, references checked
overrides      values from --set and the environment
spec           its parts and every default
written        what models write before the answers
prompt_format  chat and plain prompts
prices         prices of models
runnable       arms whose passages code of the user's returns
arm_checks     what the arms of a whole config must agree on
samples        right samples of keys, for messages
trust          restricted data goes only to servers that are trusted
"""
