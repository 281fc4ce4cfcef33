"""What the contenders are called, and what is measured: for all who cannot import them."""

OURS = "Driftline"
ALL = "Driftline, with pairs and distance"
AT_ONCE = "Driftline, counted at once"
KLL = "datasketches vector_of_kll"
SEARCHSORTED = "numpy searchsorted"
ADWIN = "river ADWIN"
VARIANTS = (OURS, ALL, AT_ONCE)

FEATURES = (20, 100)
BATCHES = (1, 32, 1024)
