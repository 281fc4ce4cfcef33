"""The operator: controllers, the router feed, and the process around them."""
