"""Files of rows, read in batches: never more than one is in memory."""
