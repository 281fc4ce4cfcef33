"""Experiments: arms compared at the unit that was assigned, not at the request.

`units` counts each unit once; `mismatch` asks whether the arms got the units they were promised;
`pairwise` compares every arm with every other, `best_arm` says when one of them has won, and
`thompson` moves traffic to the better ones while the comparison stays valid.
"""
