"""What is watched of a model: from its signature to features, and from tensors to rows.

Profiles are counted through here as live traffic is, so that both are the same numbers.
`readings` reads one tensor, `predictions` what was predicted, `watched` says what there is to read
of a model, and `extract` does it.
"""
