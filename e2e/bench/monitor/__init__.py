"""What the monitor and the proxy cost."""
