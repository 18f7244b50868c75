"""Entry point of the ClickHouse child: ``python -m pipeline.embedded.clickhouse_server FOLDER``.

The engine in the chdb wheel is a whole ClickHouse. Run as ClickHouse's local mode it can be told
to open its server ports; it then serves them for as long as the query below runs, that is until
standard input closes. The engine reads ``config.xml`` and ``users.xml`` of the working folder.

``_chdb`` is not public API of the wheel: its version is pinned, and a contract test starts this.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

# HTTP comes last: that it answers means that all ports are open.
SERVE_UNTIL_STDIN_CLOSES: Final = """
SYSTEM START LISTEN TCP;
SYSTEM START LISTEN HTTP;
SELECT count() FROM file('stdin', 'LineAsString', 'line String');
"""
# With any other format the engine buffers the statements differently and opens no port.
OUTPUT_FORMAT: Final = "TabSeparated"


def main() -> None:
    """Serve the folder given as first argument until standard input closes."""
    folder = Path(sys.argv[1]).resolve()
    # Importing the wheel opens an engine once, as a user without rights in our configuration: so
    # it is imported before the folder with that configuration becomes the working folder.
    os.chdir("/")
    from chdb import _chdb  # noqa: PLC0415 - half a gigabyte, for this process only

    os.chdir(folder)
    serve = _chdb.query  # type: ignore[attr-defined]  # its stub leaves it out
    serve(SERVE_UNTIL_STDIN_CLOSES, OUTPUT_FORMAT, path=str(folder / "data"))


if __name__ == "__main__":
    main()
