"""What runs in the serving image."""
