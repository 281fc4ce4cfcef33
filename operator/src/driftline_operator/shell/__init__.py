"""The process: kopf, clock, endpoints. The only package that imports kopf."""
