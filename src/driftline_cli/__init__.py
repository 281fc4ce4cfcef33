"""`driftline`, the command line."""
