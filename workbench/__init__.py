"""The workbench: a page for search engineers, served on this machine by `rank-cli serve`.

Search live under two profiles, move sliders, take a score apart, replay a captured search, open reports. It
reads; the one thing it writes is a profile file, into a folder that the user named.
"""

from workbench.app import create_app
from workbench.server import Server, listen
from workbench.state import Workbench

__all__ = ["Server", "Workbench", "create_app", "listen"]
