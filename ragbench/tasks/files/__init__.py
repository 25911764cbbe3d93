"""Tasks whose questions stand in a file.

questionfile  the base of such tasks
lines         the fields of a line
rows          rows of a table, a JSON array or JSON lines
split         the parts that the demonstration adapter was and was not trained on
"""
