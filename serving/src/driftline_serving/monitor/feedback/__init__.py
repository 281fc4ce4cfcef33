"""Labels and rewards: what was true, joined with what was predicted.

items    what a client says, read and bounded
memory   predictions that are remembered, by id
outputs  the numbers that a loss is made from, out of a model's outputs
losses   what a label says of a prediction, between 0 and 1
seen     which rows have had their label
cohorts  what is counted, by the hour of the prediction
desk     joins all of these
peers    which pod an item belongs to
forward  hands items to the pods that they belong to
endpoint what clients ask
"""
