"""A real Prometheus, out of Debian's package, that scrapes what the chart's monitors select."""
