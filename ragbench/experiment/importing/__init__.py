"""Runs made elsewhere as run folders.

imported        what every importer makes
import_mirage   MIRAGE's replies
import_lm_eval  logs of lm-eval
lm_eval_sample  one logged sample
import_fields   checks of what imported files say
"""
