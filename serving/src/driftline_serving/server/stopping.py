"""SIGTERM and SIGINT, as something to wait for."""

import asyncio
import signal


def stop_signal() -> asyncio.Event:
    """Return what is set when one of them comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
