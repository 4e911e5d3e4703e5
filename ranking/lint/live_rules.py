"""Live rules: a profile or a body held against the mapping and the documents of a real index."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ranking import fields
from ranking.lint.mapping import SAMPLE, FieldUse, LiveIndex
from ranking.lint.registry import Hit, Severity, rule

_NUMBERS = {
    "long",
    "integer",
    "short",
    "byte",
    "double",
    "float",
    "half_float",
    "scaled_float",
    "unsigned_long",
}
_KEYWORDS = {"keyword", "constant_keyword", "wildcard", "ip", "version", "boolean"}
_TEXTS = {"text", "match_only_text", "search_as_you_type", "keyword", "constant_keyword", "wildcard"}
_INTEGERS = {"long", "integer", "short", "byte", "unsigned_long"}
_EPOCH_FORMATS = ("epoch_millis", "epoch_second")


@rule(
    "field-absent",
    level="live",
    why="A decay, a sort or a script on a field that the index does not map is answered with 400; of an "
    "alias over two indices, HTTP 200 with the other's hits only.",
    instead="add it to the component template and the index (`rank-cli templates plan`), or correct the name",
)
def field_absent(live: LiveIndex) -> Iterator[Hit]:
    """A field that must be mapped is not."""
    for use, index in _unmapped(live):
        if not use.silent:
            yield Hit(use.where, f"{use.field} is not mapped in {index}")


@rule(
    "unmapped-field-hidden",
    level="live",
    why="On an unmapped field a `field_value_factor` with `missing` gives every document the default, a "
    "`terms` or `range` filter matches nothing, and a `multi_match` searches the other fields: no error"
    " anywhere.",
    instead="correct the name, or map the field and reindex",
)
def unmapped_field_hidden(live: LiveIndex) -> Iterator[Hit]:
    """A field is not mapped, and the server says nothing: its part of the formula is a constant."""
    for use, index in _unmapped(live):
        if use.silent:
            yield Hit(use.where, f"{use.field} is not mapped in {index}, which the query hides")


@rule(
    "field-type",
    level="live",
    why="A text field in a script or factor is a 400 (fielddata is disabled), a keyword read as a number a "
    "class_cast 400.",
    instead="a `float`, `long` or `keyword` field, such as a multi-field of the text",
)
def field_type(live: LiveIndex) -> Iterator[Hit]:
    """A field has the wrong type for its role."""
    for use in live.uses:
        for index, info in live.infos(use.field):
            problem = _type_problem(use, info.type)
            if problem is not None:
                yield Hit(use.where, f"{use.field} is {info.type} in {index}: {problem[0]}", None, problem[1])


@rule(
    "date-nanos-decay",
    level="live",
    why="A function_score decay compares an origin in nanoseconds (1.75E18) with values in milliseconds: "
    "the score is 0 for a document at the origin, for every explicit origin and for `now`, without an "
    "error.",
    instead="map the field as `date`, or compute the decay in a script",
)
def date_nanos_decay(live: LiveIndex) -> Iterator[Hit]:
    """A decay over a date_nanos field."""
    for use in live.uses:
        for index, info in live.infos(use.field):
            if info.type == "date_nanos" and use.role == "decay":
                yield Hit(use.where, f"{use.field} is date_nanos in {index}: every item scores 0")
            elif info.type == "date_nanos" and use.where == "freshness":
                why = f"{use.field} is date_nanos in {index}: a replay knows its milliseconds only"
                yield Hit(use.where, why, None, "warning")


@rule(
    "date-format",
    level="live",
    why="The origin is read in the field's own format: with `epoch_second` milliseconds are silently a "
    "moment 1000 times as far off; with `yyyy-MM-dd` or another format without `epoch_millis` they are "
    "a 400.",
    instead="`format: strict_date_optional_time||epoch_millis`",
)
def date_format(live: LiveIndex) -> Iterator[Hit]:
    """A decay's date field has a format that does not read epoch milliseconds."""
    for use in live.uses:
        if use.role != "decay":
            continue
        for index, info in live.infos(use.field):
            known = [part for part in (info.format or "epoch_millis").split("||") if part in _EPOCH_FORMATS]
            if known[:1] == ["epoch_second"]:
                yield Hit(
                    use.where, f"{use.field} is in seconds in {index}: an origin in ms is silently wrong"
                )
            elif not known:
                yield Hit(use.where, f"{use.field} has format {info.format} in {index}, without epoch_millis")


@rule(
    "image-score-type",
    level="live",
    severity="warning",
    why="`half_float` keeps 11 bits (0.75073 becomes 0.75049), `scaled_float` its scaling factor, `double` "
    "more than our twin assumes, and an integer type makes every score 0 or 1.",
    instead='"image_score": {"type": "float"}',
)
def image_score_type(live: LiveIndex) -> Iterator[Hit]:
    """image_score is not a float: it is rounded, or replays differ in the last bit."""
    for use in _of(live, fields.IMAGE_SCORE):
        for index, info in live.infos(use.field):
            if info.type in _INTEGERS:
                yield Hit(use.where, f"image_score is {info.type} in {index}: 0.7 is 0", None, "error")
            elif info.type in _NUMBERS - {"float"}:
                yield Hit(use.where, f"image_score is {info.type} in {index}, not float")


@rule(
    "tie-break-field",
    level="live",
    why="Ties are broken by `item_id` in UTF-8 byte order, on the server and in replay: a number sorts "
    "otherwise, a text not at all.",
    instead='"item_id": {"type": "keyword"}',
)
def tie_break_field(live: LiveIndex) -> Iterator[Hit]:
    """item_id is not a keyword with doc values."""
    for use in _of(live, fields.ITEM_ID):
        for index, info in live.infos(use.field):
            if info.type != "keyword":
                yield Hit(use.where, f"item_id is {info.type} in {index}")
            elif not info.doc_values:
                yield Hit(use.where, f"item_id has no doc values in {index}")


@rule(
    "doc-values-off",
    level="live",
    why="Sorts, decays, factors and scripts read doc values; without them the search is answered with 400.",
    instead="map the field without `doc_values: false` and reindex",
)
def doc_values_off(live: LiveIndex) -> Iterator[Hit]:
    """A field that is read from doc values has none."""
    for use in live.uses:
        if use.role in {"text", "filter"} or use.field == fields.ITEM_ID:
            continue
        for index, info in live.infos(use.field):
            if not info.doc_values:
                yield Hit(use.where, f"{use.field} has doc_values: false in {index}")


@rule(
    "multi-valued",
    level="live",
    severity="warning",
    why="Of several values a script's `.value` and a factor take the smallest, a decay the nearest, a sort "
    "the smallest; a `terms` weight applies if any matches. Executions then differ.",
    instead="index one value per document, or a field of its own for the one that counts",
)
def multi_valued(live: LiveIndex) -> Iterator[Hit]:
    """A sample of documents holds several values in a field that the formula reads as one."""
    for use in live.uses:
        n = live.multi_valued.get(use.field, 0)
        if n and use.role not in {"text", "filter"}:
            seen = min(SAMPLE, live.n_docs)
            yield Hit(use.where, f"{use.field} has several values in {n} of {seen} documents looked at")


@rule(
    "image-score-range",
    level="live",
    why="The server indexes scores below 0 and above 1 as they are. Below 0 an additive boost can make a "
    "score negative and a power NaN, which fails the whole shard; above 1 the bound of a replay no "
    "longer holds.",
    instead="send items through the ingest pipeline, and repair: `rank-cli ingest backfill`",
)
def image_score_range(live: LiveIndex) -> Iterator[Hit]:
    """The index holds image scores outside [0, 1]."""
    if live.score_range is not None and list(_of(live, fields.IMAGE_SCORE)):
        low, high = live.score_range
        if low < 0 or high > 1:
            yield Hit("image", f"image scores in {live.name} go from {low:g} to {high:g}")


@rule(
    "undated-items",
    level="live",
    severity="warning",
    why="A missing date is distance 0 to the server: such items rank as if they were listed this second.",
    instead="write `freshness.missing`, or give the items a date",
)
def undated_items(live: LiveIndex) -> Iterator[Hit]:
    """The index holds items without created_at, and the profile takes them as perfectly fresh."""
    fresh = live.profile.freshness if live.profile else None
    if fresh is not None and fresh.missing == 1 and live.n_undated:
        why = f"{live.n_undated} of {live.n_docs} items in {live.name} have no created_at"
        yield Hit("freshness.missing", why)


@rule(
    "mostly-unscored",
    level="live",
    severity="warning",
    why="Where few items have a score, the boost mostly measures which items the scorer has seen.",
    instead="run `rank-cli ingest backfill` first, or set `image.missing` to the median score",
)
def mostly_unscored(live: LiveIndex) -> Iterator[Hit]:
    """More than half of the items have no image score."""
    boosted = live.profile is not None and live.profile.image.mode != "none"
    if boosted and live.n_docs and live.n_unscored > live.n_docs / 2:
        yield Hit("image", f"{live.n_unscored} of {live.n_docs} items in {live.name} have no image_score")


@rule(
    "pipeline-absent",
    level="live",
    why="An index whose pipeline does not exist refuses every write; one without a pipeline takes any image"
    " score, negative or above 1.",
    instead="`rank-cli templates apply`",
)
def pipeline_absent(live: LiveIndex) -> Iterator[Hit]:
    """The index names an ingest pipeline that is not there, or none that clamps the image score."""
    scored = live.profile is not None and live.profile.image.mode != "none"
    for index, name in live.pipelines.items():
        if name in live.absent_pipelines:
            yield Hit(index, f"its pipeline {name} does not exist")
        elif name is None and scored:
            yield Hit(index, "it has no ingest pipeline, so nothing clamps image_score", None, "warning")


@rule(
    "stored-script-absent",
    level="live",
    why="A stored script that is not in the cluster fails every search, with 400.",
    instead="`rank-cli templates apply`, or publish the profile",
)
def stored_script_absent(live: LiveIndex) -> Iterator[Hit]:
    """A body names a stored script that the cluster does not have."""
    for name, path in live.absent_scripts:
        yield Hit(path, f"no stored script is called {name}")


def _unmapped(live: LiveIndex) -> Iterator[tuple[FieldUse, str]]:
    for use in live.uses:
        for index, mapping in live.mappings.items():
            if use.field not in mapping and not use.field.startswith("_"):
                yield use, index


def _of(live: LiveIndex, name: str) -> Iterator[FieldUse]:
    """The first use of a field that reads its value."""
    yield from islice((use for use in live.uses if use.field == name and use.role != "filter"), 1)


def _type_problem(use: FieldUse, kind: str) -> tuple[str, Severity | None] | None:
    """What is wrong with a type in a role, and how bad; None where it fits."""
    match use.role:
        case "number" if kind not in _NUMBERS and not (kind == "date" and "decay" in use.where):
            return "it cannot be read as a number", None
        case "keyword" if kind not in _KEYWORDS:
            return "weights by value need a keyword", None
        case "decay" if kind not in {"date", "date_nanos"}:
            return "a decay with a duration as its scale needs a date", None
        case "script" if kind in {"text", "match_only_text"}:
            return "a script cannot read it", None
        case "script" if use.where == "freshness" and kind not in {"date", "date_nanos"}:
            return "freshness needs a date", None
        case "sort" if kind == "text":
            return "it cannot be sorted by", None
        case "text" if kind not in _TEXTS:
            return "text does not match it", None
        case "text" if kind in {"keyword", "constant_keyword"}:
            return "only the whole value matches, not its words", "warning"
        case _:
            return None
