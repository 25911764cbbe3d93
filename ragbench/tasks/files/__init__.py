"""Tasks whose questions are in a file.

filetask   the base of all of them: what is asked, what is not, few-shot examples
jsonltask  those over JSON lines, with splits and drawn examples
columns    the columns of tables of questions, by their usual names
rows       rows of a table, a JSON array or JSON lines; JSON objects of records
fields     the fields of a row
split      the parts that the demonstration adapter was and was not trained on
"""
