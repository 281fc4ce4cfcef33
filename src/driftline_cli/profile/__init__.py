"""`driftline profile`: what data looked like when a model was trained, as a file.

`layout` and `signing` find out which column is which input, `feed` makes rows of a file through the
code that reads live traffic, `passes` counts them, and `commands` puts it together.
"""
