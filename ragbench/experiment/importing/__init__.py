"""Runs made elsewhere, written as run folders.

imported        what every importer produces, and its run folder
import_mirage   MIRAGE's replies
import_lm_eval  logs of lm-eval
lm_eval_sample  one logged sample
import_fields   checks of text and names in imported files
"""
