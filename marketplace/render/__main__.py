"""A renderer process: specifications in on stdin, one JSON object a line; a dot out for each photo written.

`marketplace.render.pool` starts these. A plain child process, rather than a forked one, is safe in programs
with threads, and works from notebooks and scripts without a main guard.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from marketplace.render.photo import PhotoSpec
from marketplace.render.pool import write_photo


def main() -> None:
    """Render until stdin ends."""
    for line in sys.stdin:
        job = json.loads(line)
        write_photo(PhotoSpec(**job["spec"]), Path(job["path"]))
        sys.stdout.write(".\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
