"""A Model to serving: gather, plan, render."""
