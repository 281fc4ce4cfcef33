"""The monitor: sees what the model server tells, counts it, and answers who asks."""
