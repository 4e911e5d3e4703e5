"""The Pareto front as one HTML file with an SVG inside: no script, no font and no picture from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from replay.measures import Measure
from replay.sweep.run import Scope, Sweep
from replay.sweep.trial import Trial

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 420, 92, 36, 20, 55

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #65758b; --line: #d5dce5; --page: #fff;
  --dot: #8fa3b8; --front: #0b6bcb; --bad: #b9c2cd; --win: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --soft: #9aa8ba; --line: #344154;
  --page: #131a24; --dot: #6b7f95; --front: #6bb3ff; --bad: #445263; --win: #ff9c66; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 820px; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; } text { fill: var(--soft); font-size: 13px; }
.axis { stroke: var(--line); } .dot { fill: var(--dot); } .front { fill: var(--front); }
.bad { fill: none; stroke: var(--bad); stroke-width: 1.5; } .win { fill: var(--win); }
.base { fill: none; stroke: var(--ink); stroke-width: 2; } .line { fill: none; stroke: var(--front); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } td, th { text-align: left;
  padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); } p { color: var(--soft); }
.scroll { overflow-x: auto; }
"""


def write_picture(path: Path, found: Sweep) -> None:
    """Write the picture; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    hidden.write_text(page(found), encoding="utf-8")
    hidden.replace(path)


def page(found: Sweep) -> str:
    """The whole file."""
    goal, told = found.goal, found.comparison
    title = f"{goal.objective.name} against {goal.against.name}"
    rules = "; ".join(map(str, goal.constraints)) or "none"
    judged = " Judgments are simulated." if told.simulated_judgments else ""
    parts = [_scope(scope, goal.objective, goal.against) for scope in found.scopes]
    row = told.difference(goal.objective.name)
    interval = "" if row.low is None else f", 95 % interval {row.low:+.4f} to {row.high:+.4f}"
    verdict = (
        f"On {row.n} later searches, {escape(found.winner.name)} has {escape(goal.objective.name)} "
        f"{row.contender:.4f}, the baseline {row.baseline:.4f}: {row.delta:+.4f}{interval}. The first "
        f"{told.k} places are proven for {told.proven} of {len(told.entered)} searches.{judged}"
        if found.found
        else f"Nothing beats {escape(found.baseline.name)} under the constraints.{judged}"
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p>{verdict}</p><p>Constraints: {escape(rules)}. Filled blue: on the "
        "Pareto front. Orange: the winner. Hollow: breaks a constraint. Ring: the baseline. Each dot says "
        f"what it is.</p>{''.join(parts)}</main></body></html>\n"
    )


def _scope(scope: Scope, objective: Measure, against: Measure) -> str:
    xs = [trial.means[against.name].value for trial in scope.trials]
    ys = [trial.means[objective.name].value for trial in scope.trials]
    first = scope.trials[0].means
    origin = (first[against.name].baseline, first[objective.name].baseline)
    drawn = [i for i in range(len(xs)) if xs[i] == xs[i] and ys[i] == ys[i]]
    x_of = _Scale([origin[0], *(xs[i] for i in drawn)], _LEFT, _WIDTH - _RIGHT)
    y_of = _Scale([origin[1], *(ys[i] for i in drawn)], _HEIGHT - _BOTTOM, _TOP)
    bottom, left = _HEIGHT - _BOTTOM, _LEFT
    svg = [
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' "
        f"aria-label='{escape(objective.name)} over {escape(against.name)}, {len(drawn)} candidates'>",
        f"<path class='axis' d='M{left} {_TOP}V{bottom}H{_WIDTH - _RIGHT}' fill='none'/>",
    ]
    for value in x_of.ticks:
        svg.append(f"<text x='{x_of(value):.1f}' y='{bottom + 20}' text-anchor='middle'>{value:.4g}</text>")
    for value in y_of.ticks:
        svg.append(f"<text x='{left - 8}' y='{y_of(value) + 4:.1f}' text-anchor='end'>{value:.4g}</text>")
    svg.append(
        f"<text x='{(left + _WIDTH) / 2:.0f}' y='{_HEIGHT - 12}' text-anchor='middle'>{_axis(against)}</text>"
        f"<text x='14' y='{_HEIGHT / 2:.0f}' text-anchor='middle' "
        f"transform='rotate(-90 14 {_HEIGHT / 2:.0f})'>{_axis(objective)}</text>"
    )
    front = sorted((xs[i], ys[i]) for i in drawn if scope.on_front[i])
    if front:
        points = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in front)
        svg.append(f"<polyline class='line' points='{points}'/>")
    order = sorted(drawn, key=lambda i: (scope.trials[i] is scope.winner, scope.on_front[i]))
    for i in order:
        trial = scope.trials[i]
        won = trial is scope.winner
        kind = "win" if won else "bad" if not trial.feasible else "front" if scope.on_front[i] else "dot"
        svg.append(
            f"<circle class='{kind}' cx='{x_of(xs[i]):.1f}' cy='{y_of(ys[i]):.1f}' r='{7 if won else 4}'>"
            f"<title>{escape(_says(trial, objective, against))}</title></circle>"
        )
    svg.append(
        f"<circle class='base' cx='{x_of(origin[0]):.1f}' cy='{y_of(origin[1]):.1f}' r='7'>"
        "<title>baseline</title></circle></svg>"
    )
    rows = "".join(
        f"<tr><td>{escape(trial.profile.summary)}</td><td>{y:.4f}</td><td>{x:.4f}</td>"
        f"<td>{trial.proven / trial.searches:.0%}</td></tr>"
        for trial, x, y, on_front in zip(scope.trials, xs, ys, scope.on_front, strict=True)
        if on_front
    )
    return (
        f"<h2>{escape(scope.name)}: {scope.searches} earlier searches</h2>{''.join(svg)}"
        f"<div class='scroll'><table><caption>The front</caption><thead><tr><th>candidate</th>"
        f"<th>{escape(objective.name)}</th><th>{escape(against.name)}</th><th>proven</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


class _Scale:
    """Values to places, with round ticks."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        reach = (high - low) or abs(high) or 1.0
        self.low, self.high = low - 0.05 * reach, high + 0.05 * reach
        self.start, self.end = start, end
        self.ticks = [self.low + (self.high - self.low) * i / 4 for i in range(5)]

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def _axis(one: Measure) -> str:
    unit = f", {one.unit}" if one.unit else ""
    return escape(f"{one.name}{unit} ({one.better} is better)")


def _says(trial: Trial, objective: Measure, against: Measure) -> str:
    measured = ", ".join(f"{one.name} {trial.means[one.name].value:.4f}" for one in (objective, against))
    broken = f"; breaks {'; '.join(trial.broken)}" if trial.broken else ""
    return f"{trial.profile.summary}: {measured}, proven {trial.proven} of {trial.searches}{broken}"
