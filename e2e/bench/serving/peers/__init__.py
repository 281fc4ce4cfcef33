"""The servers that the model server is compared with; each runs in an environment of its own."""
