"""Drift: what the reference looked like, what live rows look like, and whether they differ.

`build` makes a `Profile` of reference rows, `kernel` counts live rows in the same bins, and
everything that decides reads counts alone: they add across replicas.
"""
