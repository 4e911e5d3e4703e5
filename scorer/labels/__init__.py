"""Labels: pages (SERPs) of photos scored side by side, from the search log to the label file.

page.py, reading.py       a judged page, and files of them: whatever cannot be used is left out and counted
serps.py, split.py        pages out of captured searches and clicks, as in the Image Score paper
agreement.py              how well judges agree
analysis/                 do clicked photos score higher, and what is said of them
importing.py              labels that others made
"""

from __future__ import annotations

from scorer.labels.page import NAMELESS, JudgedPage
from scorer.labels.reading import LabelFile, Skip, lines_of, read_files, read_pages

__all__ = ["NAMELESS", "JudgedPage", "LabelFile", "Skip", "lines_of", "read_files", "read_pages"]
