"""A Kubernetes cluster for the tests and the demo, brought up from packages where none is given."""
