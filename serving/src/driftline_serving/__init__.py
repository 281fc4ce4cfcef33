"""What runs in the pods of a Model: the model server, and the fetcher of its artifact."""
