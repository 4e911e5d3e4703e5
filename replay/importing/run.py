"""Import of a log: files of one format into a capture folder, malformed rows into a file of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ranking.capture import CaptureRecord, Event
from ranking.errors import InputError
from ranking.rows import RowError
from replay.importing.lines import read_rows
from replay.importing.metarank import MetarankReader
from replay.importing.quepid import QuepidReader
from replay.importing.records import Grade, Ignored, Imported, ImportOptions, Reader
from replay.importing.rejects import Rejects
from replay.importing.shown import ShownReader
from replay.importing.slow_log import SlowLogReader
from replay.importing.staging import Staging
from replay.importing.trec import QrelsReader, TrecRunReader
from replay.importing.ubi import UbiReader

FORMATS: dict[str, Callable[[ImportOptions], Reader]] = {
    "ubi": UbiReader,
    "shown": ShownReader,
    "slow-log": SlowLogReader,
    "metarank": MetarankReader,
    "trec-run": TrecRunReader,
    "trec-qrels": QrelsReader,
    "quepid": QuepidReader,
}


@dataclass(slots=True)
class ImportSummary:
    """What an import took in, and what it left out."""

    format: str
    folder: str
    files: int = 0
    rows: int = 0
    searches: int = 0
    shown_only: int = 0  # of the searches: those whose relevance is unknown
    events: int = 0
    judgments: int = 0
    profiles: int = 0
    already_there: int = 0  # searches and events that the folder holds already
    ignored: dict[str, int] = field(default_factory=dict)  # well-formed rows with nothing to import, by kind
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)  # of the rejected; the ten most frequent
    reject_file: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


def import_log(
    format_name: str,
    paths: Sequence[Path],
    folder: Path,
    *,
    options: ImportOptions | None = None,
    reject_file: Path | None = None,
    advance: Callable[[int], object] = lambda _n: None,
) -> ImportSummary:
    """Import files of one format. All well-formed rows come in; an error leaves the folder as it was.

    Args:
        format_name: one of `FORMATS`.
        paths: the files, plain or gzip.
        folder: the capture folder, made where missing.
        options: what the log does not say.
        reject_file: for malformed rows; `FOLDER/rejects-FORMAT.jsonl` by default.
        advance: told how many rows were read.

    Raises:
        InputError: an unknown format, or a file that cannot be read or written.
    """
    if format_name not in FORMATS:
        raise InputError(f"{format_name!r} is no format; known are {', '.join(FORMATS)}")
    options = options or ImportOptions()
    reader = FORMATS[format_name](options)
    summary = ImportSummary(format_name, str(folder))
    ignored: Counter[str] = Counter()
    staging = Staging(folder, f"simulated-{reader.source}" if options.simulated else reader.source)
    rejects = Rejects(reject_file or folder / f"rejects-{format_name}.jsonl")

    def keep(found: Iterable[Imported]) -> None:
        for one in found:
            if options.simulated and isinstance(one, Event):
                one = replace(one, simulated=True)  # noqa: PLW2901
            _keep(one, staging, summary, ignored)

    try:
        for path in reader.prepare(paths):
            summary.files += 1
            for row in read_rows(path, reader.kind):
                summary.rows += 1
                advance(1)
                if row.reason is not None:
                    rejects.add(row, row.reason)
                    continue
                try:
                    keep(reader.feed(row))
                except RowError as e:
                    rejects.add(row, str(e))
                except RecursionError:
                    rejects.add(row, "nested too deeply")
        keep(reader.finish())
        staging.commit()
        refused = rejects.commit()
        summary.reject_file = str(refused) if refused else None
    except OSError as e:
        raise InputError(f"{folder} cannot be written: {e}") from e
    finally:
        staging.abort()
        rejects.abort()
    summary.rejected, summary.ignored = rejects.count, dict(ignored)
    summary.reasons = dict(rejects.reasons.most_common(10))
    return summary


def _keep(one: Imported, staging: Staging, summary: ImportSummary, ignored: Counter[str]) -> None:
    match one:
        case CaptureRecord():
            if staging.add_search(one):
                summary.searches += 1
                summary.shown_only += one.shown_only
            else:
                summary.already_there += 1
        case Event():
            if staging.add_event(one):
                summary.events += 1
            else:
                summary.already_there += 1
        case Grade():
            staging.add_grade(one)
            summary.judgments += 1
        case Ignored():
            ignored[one.what] += 1
        case profile:
            staging.add_profile(profile)
            summary.profiles += 1
