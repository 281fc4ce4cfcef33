"""The router of a namespace: ports, xDS, acknowledgement."""
