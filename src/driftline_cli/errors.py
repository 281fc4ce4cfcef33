"""What a person at a terminal did wrong, or has to decide."""


class UserError(Exception):
    """Says what is wrong, where, and what to do; it ends the program with code 2."""
