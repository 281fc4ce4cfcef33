"""Real data that drifts, replayed against a deployed model."""
