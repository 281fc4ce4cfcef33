"""The watch: all that is found out about one revision's live rows, as one frozen value.

Start with `watch.Watch`; `plan.WatchPlan` says what is watched for, `look.Look` what came since the
last look, `findings.Findings` what is found. `learning.Learning` freezes a baseline where there is
none.
"""
