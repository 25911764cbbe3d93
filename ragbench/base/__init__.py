"""The foundation of every other room: errors, files, records and locations.

errors      errors that state what is wrong, where, and what to do
files       atomic writes, locks, JSON lines, digests
checksums   checksums and manifest of a built folder
home        RAGBENCH_HOME, legal names, and the files bundled with the package
yamlfile    YAML with the line of every key, checked against a pydantic model
registry    names of ``module:object`` targets
records     questions, passages, hits, replies
progress    progress bars on a terminal, plain lines elsewhere
provenance  versions, machine and git state
devices     devices and number formats, and compilation of loops
endpoint    addresses of servers, and the guard of restricted data
modelfacts  what a run records of a model
weights     location and digest of model weights
words       texts as words
cluster     work on the machines of a Ray cluster
usercode    code of the user's that ragbench may run
"""
