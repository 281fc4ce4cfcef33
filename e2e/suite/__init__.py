"""The end-to-end suite: it takes any cluster with Driftline installed."""
