"""What of a cluster the operator can see, played by one process of its own.

It makes the pods that a Deployment asks for, says at once that they are Ready, and lets each
router pod fetch its configuration and report the version, as Envoy does. Its CPU is counted apart
from the operator's, and so are its writes.
"""
