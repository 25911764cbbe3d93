"""``ragbench init``: a commented config for your data.

command   the command and its options
survey    questions, corpora and models in files and folders
corpora   a corpus: its reader, columns and lengths of passages
models    the models to compare, found, given or asked of a server
text      the config as a commented YAML text
"""
