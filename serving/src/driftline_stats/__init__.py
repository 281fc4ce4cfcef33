"""The statistics that Driftline decides by: numpy and scipy only, no I/O, no clock."""
