"""Import of logs that somebody else wrote into a capture folder."""

from replay.importing.records import ImportOptions
from replay.importing.run import FORMATS, ImportSummary, import_log
from replay.importing.topics import read_topics

__all__ = ["FORMATS", "ImportOptions", "ImportSummary", "import_log", "read_topics"]
