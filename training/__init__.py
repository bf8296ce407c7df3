"""How the table of `routing/tasks.py` is made: prompts, words, a fit, and the measure of it."""
