"""The report as one HTML file.

page    the file
browse  the data that its question browser reads
"""
