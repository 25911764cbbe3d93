"""Work on the machines of a Ray cluster.

host    what a process of the cluster runs, and errors as fields
pool    workers that are taken, lost and replaced
engine  a connection to a cluster: its nodes, and workers on them
"""
