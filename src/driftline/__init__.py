"""What programs use of Driftline; see `driftline.client`."""
