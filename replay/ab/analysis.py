"""The whole experiment: every metric of every variant against the control, on every platform."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ranking.errors import InputError
from replay.ab.balance import Balance, balances
from replay.ab.contrast import Contrast, contrast, cuped_arms, mean_arm, ratio_arm
from replay.ab.metrics import Metric, usual
from replay.ab.sequential import PLANNED, always_valid
from replay.ab.users import ALL, Users
from replay.finite import finite
from replay.significance import adjust, days_needed, minimum_effect


@dataclass(frozen=True, slots=True)
class Result:
    """One metric of one variant against the control, on one platform."""

    metric: str
    platform: str  # "all", or one
    variant: str
    method: str  # welch, student, delta; the same with "+cuped"
    n_control: int
    n_variant: int
    control: float
    value: float
    delta: float
    low: float | None  # 95 % interval of delta
    high: float | None
    ratio: float | None  # value / control
    ratio_low: float | None
    ratio_high: float | None
    t: float | None
    df: float
    p: float | None  # two-sided, not adjusted
    p_adjusted: float | None  # over metrics and variants of the platform
    always_low: float | None  # interval of delta that holds at every look
    always_high: float | None
    always_p: float | None
    detectable: float | None  # smallest relative change found with probability 0.8
    days_needed: float | None  # until the effect asked for is detectable
    variance_removed: float | None = None  # by CUPED, a share

    @property
    def significant(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.p_adjusted is not None and self.p_adjusted < 0.05


@dataclass(frozen=True, slots=True)
class Analysis:
    """An analysed experiment."""

    users: Users
    control: str
    variants: tuple[str, ...]  # without the control
    balance: list[Balance]
    results: list[Result]
    adjustment: str
    planned: int
    effect: float | None

    @property
    def mismatch(self) -> bool:
        """Whether the arms are not as large as assigned, overall or on a platform."""
        return any(one.mismatch for one in self.balance)

    def find(self, metric: str, variant: str, platform: str = ALL, *, cuped: bool = False) -> Result:
        """One result.

        Raises:
            KeyError: there is none.
        """
        for one in self.results:
            if (one.metric, one.variant, one.platform, one.method.endswith("cuped")) == (
                metric,
                variant,
                platform,
                cuped,
            ):
                return one
        raise KeyError((metric, variant, platform))

    def as_dict(self) -> dict[str, Any]:
        """As one JSON object; what is undefined is None."""
        found: dict[str, Any] = finite(self._fields())
        return found

    def _fields(self) -> dict[str, Any]:
        return {
            "source": self.users.source,
            "simulated": self.users.simulated,
            "users": self.users.n,
            "days": self.users.days,
            "rejected": self.users.reasons(),
            "note": self.users.note,
            "control": self.control,
            "variants": list(self.variants),
            "sample_ratio_mismatch": self.mismatch,
            "balance": [asdict(one) | {"mismatch": one.mismatch} for one in self.balance],
            "adjustment": self.adjustment,
            "planned_users": self.planned,
            "effect": self.effect,
            "results": [asdict(one) | {"significant": one.significant} for one in self.results],
        }


def analyze(
    users: Users,
    *,
    control: str = "control",
    metrics: Sequence[Metric] | None = None,
    split: Mapping[str, float] | None = None,
    pooled: bool = False,
    adjustment: str = "holm",
    planned: int = PLANNED,
    days: float | None = None,
    effect: float | None = None,
) -> Analysis:
    """Compare every variant with the control.

    Args:
        users: who was in it.
        control: the variant that the others are compared with.
        metrics: what is compared; None for those of the paper and the ratios that the columns allow.
        split: weight of each variant in the assignment; None for equal ones.
        pooled: Student's t rather than Welch's.
        adjustment: of the p values, over the metrics and variants of one platform: holm, bh or none.
        planned: users of two arms for which the always-valid interval is narrowest, fixed beforehand.
        days: how long the data took; None for what first_seen says.
        effect: a relative change, such as 0.02: how many days until it is detectable?

    Raises:
        InputError: no such control, fewer than two variants, or a broken split.
    """
    if control not in users.variants:
        raise InputError(
            f"no user is in variant {control!r}", hint=f"--control one of {', '.join(users.variants)}"
        )
    if len(users.variants) < 2:
        raise InputError(f"every user is in variant {control!r}: there is nothing to compare")
    variants = tuple(name for name in users.variants if name != control)
    chosen = list(metrics) if metrics is not None else usual(users.columns)
    length = days if days is not None else users.days
    results = []
    for metric in chosen:
        y, c = metric.values(users), metric.covariate(users)
        x = users.columns[metric.per] if metric.per is not None else None
        for platform in (ALL, *users.platforms):
            old = users.span(control, platform)
            for variant in variants:
                new = users.span(variant, platform)
                if min(old.stop - old.start, new.stop - new.start) < 2:
                    continue  # no variance, no test; the balance shows the counts

                def result(found: Contrast, method: str, removed: float | None = None) -> Result:
                    return _result(
                        (metric.name, platform, variant, method),  # noqa: B023
                        found,
                        planned=planned,
                        days=length,
                        effect=effect,
                        removed=removed,
                    )

                if x is not None:
                    arms = [ratio_arm(y[span], x[span]) for span in (old, new)]
                    results.append(result(contrast(*arms), "delta"))
                    continue
                arms = [mean_arm(y[span]) for span in (old, new)]
                name = "student" if pooled else "welch"
                results.append(result(contrast(*arms, pooled=pooled), name))
                if c is not None:
                    before, after, removed = cuped_arms((y[old], y[new]), (c[old], c[new]))
                    found = contrast(before, after, pooled=pooled)
                    results.append(result(found, f"{name}+cuped", removed))
    return Analysis(
        users=users,
        control=control,
        variants=variants,
        balance=balances(users, split),
        results=_adjusted(results, adjustment),
        adjustment=adjustment,
        planned=planned,
        effect=effect,
    )


def _result(
    names: tuple[str, str, str, str],
    found: Contrast,
    *,
    planned: int,
    days: float | None,
    effect: float | None,
    removed: float | None,
) -> Result:
    always = always_valid(found.delta, found.error, found.control.n + found.variant.n, planned=planned)
    smallest = minimum_effect(found.error, found.df)
    relative = smallest / found.control.value if smallest is not None and found.control.value > 0 else None
    wait = None
    if days is not None and effect is not None:
        wait = days_needed(effect, relative, days)
    metric, platform, variant, method = names
    return Result(
        metric=metric,
        platform=platform,
        variant=variant,
        method=method,
        n_control=found.control.n,
        n_variant=found.variant.n,
        control=found.control.value,
        value=found.variant.value,
        delta=found.delta,
        low=found.low,
        high=found.high,
        ratio=found.ratio,
        ratio_low=found.ratio_low,
        ratio_high=found.ratio_high,
        t=found.t,
        df=found.df if math.isfinite(found.df) else 0.0,
        p=found.p,
        p_adjusted=None,
        always_low=always[0] if always else None,
        always_high=always[1] if always else None,
        always_p=always[2] if always else None,
        detectable=relative,
        days_needed=wait,
        variance_removed=removed,
    )


def _adjusted(results: list[Result], adjustment: str) -> list[Result]:
    """A family is what is asked of one platform; CUPED asks the same again, as a family of its own."""
    families: dict[tuple[str, bool], list[int]] = {}
    for i, one in enumerate(results):
        families.setdefault((one.platform, one.method.endswith("cuped")), []).append(i)
    done = list(results)
    for mine in families.values():
        for i, p in zip(mine, adjust([results[i].p for i in mine], adjustment), strict=True):
            done[i] = replace(results[i], p_adjusted=p)
    return done
