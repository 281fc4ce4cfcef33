"""Drift: profiles of the data that a model was made for, and what has changed since."""
