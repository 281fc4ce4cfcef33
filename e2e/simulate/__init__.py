"""`make simulate`: whether the statistics keep what they state, by seeded simulation."""
