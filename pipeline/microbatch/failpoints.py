"""Named points where a test can stop the process dead, to prove what survives.

``CXSTREAM_FAIL_POINT=name:n`` kills this process with SIGKILL when point ``name`` is reached for
the ``n``-th time. Unset, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

_NAME, _, _COUNT = os.environ.get("CXSTREAM_FAIL_POINT", "").partition(":")
_left = int(_COUNT or 1)


def hit(name: str) -> None:
    """Die here if this is the point and the pass that the environment names."""
    global _left  # noqa: PLW0603 - one countdown for the process
    if name == _NAME:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
