"""Run as a file, in an interpreter of its own, so that Locust comes first."""

from __future__ import annotations

import locust  # noqa: F401  patches sockets, threads and sleep, also for what is imported after it

from loadtest.worker.rounds import main

if __name__ == "__main__":
    main()
