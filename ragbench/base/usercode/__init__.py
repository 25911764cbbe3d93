"""Code of the user's that ragbench may run.

factory  keys that name it, say where it sends text, and allow it to run
"""
