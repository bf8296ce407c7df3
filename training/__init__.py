"""How the table of `routing/table.py` is made: prompts, words, a fit, and the measure of it."""
