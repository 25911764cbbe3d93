"""Addresses of the servers of one model: which one is asked next, and how many requests it takes.

keys      keys of the config that say where they are
pool      the servers, of which the least busy is asked
urlfile   a file of addresses, one per line
watch     looks whether that file changes, and admits new servers
adapting  the part of a backend that uses all of these
"""
