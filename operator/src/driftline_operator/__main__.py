"""`python -m driftline_operator`: one replica of the operator."""

import logging
import os
import sys

import uvloop

from driftline_operator.errors import ConfigError
from driftline_operator.shell.wiring import run_operator

log = logging.getLogger("driftline_operator")


def main() -> int:
    """Run until told to stop; return the exit code."""
    logging.basicConfig(
        level=(os.environ.get("DRIFTLINE_LOG_LEVEL") or "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        uvloop.run(run_operator())
    except ConfigError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says all; a traceback would hide it
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
