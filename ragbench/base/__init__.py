"""What every part of ragbench stands on: errors, files, records, and where things lie.

errors      errors that say what is wrong, where, and what to do
files       atomic writes, locks, JSON lines, digests
checksums   the sums of a built folder, and its manifest
home        RAGBENCH_HOME, legal names, and what the package carries
yamlfile    YAML with the line of every key, checked against a pydantic model
registry    names that stand for ``module:object``
records     questions, passages, hits, replies
progress    progress bars on a terminal, plain lines elsewhere
provenance  versions, machine and git state
devices     devices and number formats
weights     where a model's weights are
compiled    numba's compiler, with its cache
pairs       a biomedical model and the general model that it was made from
"""
