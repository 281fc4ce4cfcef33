"""A network of one's own, so that fixed ports and loopback addresses collide with nobody's."""

import ctypes
import os
import subprocess

_CLONE_NEWNET = 0x40000000


def isolate() -> bool:
    """Move this process and its future children into a network that has loopback alone.

    There is no way back. Needs root; returns whether it worked. Threads that exist already stay
    where they are.
    """
    if os.geteuid() != 0:
        return False
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        return False
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return True
