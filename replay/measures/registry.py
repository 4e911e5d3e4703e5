"""Every measure by name: what it is called, what it takes, which way is better, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from ranking.errors import InputError
from ranking.freshness import Freshness
from replay.engine import Ranking
from replay.judgments import Judgments
from replay.log import CaptureLog
from replay.measures import graded, marketplace
from replay.measures.page import F64
from replay.measures.spelling import parse

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure with its parameters and cutoff, such as `nDCG@10`."""

    name: str  # in canonical spelling
    unit: str  # "" for a pure number
    better: Better
    needs_judgments: bool
    family: str
    cutoff: int | None
    params: Mapping[str, Any]
    _compute: Callable[..., F64] = field(repr=False)

    def values(self, log: CaptureLog, ranking: Ranking, judgments: Judgments | None = None) -> F64:
        """The measure of every search, shape (n_searches,), float64; NaN where it is undefined.

        Raises:
            InputError: it needs judgments and there are none, or a field that was not captured.
        """
        if not self.needs_judgments:
            return self._compute(log, ranking, k=self.cutoff, **self.params)
        if judgments is None:
            raise InputError(
                f"{self.name} needs judgments, and there are none",
                hint="import or make some, or leave it out",
            )
        return self._compute(log, ranking, judgments, k=self.cutoff, **self.params)


@dataclass(frozen=True, slots=True)
class _Family:
    compute: Callable[..., F64]
    better: Better
    needs_judgments: bool = True
    unit: str = ""
    params: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)  # and what is allowed
    defaults: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    needs_cutoff: bool = False


def _is_grade(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def _is_gains(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(key, int) for key in value)
        and all(isinstance(gain, int | float) and gain >= 0 for gain in value.values())
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


_BINARY: Mapping[str, Callable[[Any], bool]] = {"rel": _is_grade, "judged_only": _is_bool}
_BINARY_DEFAULTS = {"rel": 1, "judged_only": False}
_CURVE: Mapping[str, Callable[[Any], bool]] = {
    "scale": _is_text,
    "curve": lambda value: value in ("gauss", "exp", "linear"),
    "offset": _is_text,
    "decay": _is_share,
}


def _freshness(log: CaptureLog, ranking: Ranking, k: int | None, **curve: Any) -> F64:
    if not curve:
        return marketplace.freshness_as_served(log, ranking, k)
    return marketplace.freshness(log, ranking, Freshness(**curve), k)


def _shown(
    compute: Callable[..., F64],
    better: Better,
    params: Mapping[str, Callable[[Any], bool]] | None = None,
    *,
    unit: str = "",
    defaults: Mapping[str, Any] | None = None,
    required: tuple[str, ...] = (),
) -> _Family:
    return _Family(compute, better, False, unit, params or {}, defaults or {}, required)


_FAMILIES: Mapping[str, _Family] = {
    "nDCG": _Family(
        graded.ndcg,
        "higher",
        params={
            "dcg": lambda value: value in ("log2", "exp-log2"),
            "gains": _is_gains,
            "judged_only": _is_bool,
        },
        defaults={"dcg": "log2", "judged_only": False},
    ),
    "P": _Family(graded.precision, "higher", params=_BINARY, defaults=_BINARY_DEFAULTS, needs_cutoff=True),
    "R": _Family(graded.recall, "higher", params=_BINARY, defaults=_BINARY_DEFAULTS, needs_cutoff=True),
    "RR": _Family(graded.reciprocal_rank, "higher", params=_BINARY, defaults=_BINARY_DEFAULTS),
    "AP": _Family(graded.average_precision, "higher", params=_BINARY, defaults=_BINARY_DEFAULTS),
    "ERR": _Family(graded.err, "higher"),
    "RBP": _Family(graded.rbp, "higher", params={"p": _is_share, "rel": _is_grade}, defaults={"p": 0.8}),
    "Judged": _Family(graded.judged, "neither"),
    "image_score": _shown(marketplace.image_score, "higher"),
    "freshness": _shown(_freshness, "higher", _CURVE),
    "age": _shown(marketplace.age_days, "lower", unit="days"),
    "price": _shown(marketplace.price, "neither"),
    "ai_share": _shown(marketplace.ai_share, "lower", {"threshold": _is_share}, defaults={"threshold": 0.5}),
    "exposure": _shown(
        marketplace.exposure,
        "neither",
        {"field": _is_text, "value": _is_text},
        required=("field", "value"),
    ),
    "top_share": _shown(
        marketplace.top_share, "neither", {"field": _is_text}, defaults={"field": "category"}
    ),
    "entropy": _shown(
        marketplace.entropy,
        "neither",
        {"field": _is_text},
        unit="bits",
        defaults={"field": "category"},
    ),
}
_ALIASES = {"NDCG": "nDCG", "Precision": "P", "Recall": "R", "MRR": "RR", "MAP": "AP"}


def measure(text: str) -> Measure:
    """The measure of a spelling, such as `nDCG@10`, `P(rel=2)@5`, `ai_share(threshold=0.8)@20`.

    Without a cutoff, every candidate counts.

    Raises:
        InputError: no such measure or parameter; says which come near.
    """
    spelled = parse(text)
    name = _ALIASES.get(spelled.family, spelled.family)
    family = _FAMILIES.get(name)
    if family is None:
        raise InputError(f"there is no measure {spelled.family!r}", hint=_near(spelled.family))
    for param, value in spelled.params.items():
        if param not in family.params:
            takes = f"it takes {', '.join(family.params)}" if family.params else "it takes no parameter"
            raise InputError(f"measure {name} has no parameter {param!r}", hint=takes)
        if not family.params[param](value):
            raise InputError(f"measure {name} cannot take {param}={value!r}")
    lacking = [param for param in family.required if param not in spelled.params]
    if lacking:
        raise InputError(f"measure {name} needs {' and '.join(lacking)}", hint=_example(name))
    if family.needs_cutoff and spelled.cutoff is None:
        raise InputError(f"measure {name} needs a cutoff", hint=f"for example {name}@10")
    if name == "freshness" and spelled.params and "scale" not in spelled.params:
        raise InputError("a freshness curve needs a scale", hint="freshness(scale='14d')@10")
    return Measure(
        name=spelled.canonical(name, family.defaults),
        unit=family.unit,
        better=family.better,
        needs_judgments=family.needs_judgments,
        family=name,
        cutoff=spelled.cutoff,
        params=dict(spelled.params),
        _compute=family.compute,
    )


def freshness_under(curve: Freshness, k: int | None) -> Measure:
    """`freshness@k` under one given curve for every profile that is measured."""
    plain = measure("freshness" if k is None else f"freshness@{k}")

    def compute(log: CaptureLog, ranking: Ranking, k: int | None) -> F64:
        return marketplace.freshness(log, ranking, curve, k)

    return Measure(
        plain.name, plain.unit, plain.better, False, plain.family, plain.cutoff, plain.params, compute
    )


def names() -> list[str]:
    """The names of all measures, without aliases."""
    return list(_FAMILIES)


def _near(name: str) -> str:
    known = [*_ALIASES, *_FAMILIES]
    by_lower = {one.lower(): one for one in known}
    near = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(_FAMILIES)}"


def _example(name: str) -> str:
    return f"for example {name}(field='category',value='shoes')@10"
