"""The model server.

Three things that know little of each other: an `Engine` runs a model on arrays, the codec turns
bodies of the Open Inference Protocol into arrays and back, and a transport moves bodies. Between
them stands `InferenceService`, which every transport calls.
"""
