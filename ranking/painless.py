"""The formula as Painless, written from a profile; `ranking.formula` is its twin, operation by operation.

Numbers are parameters (one compilation serves every weight of the same shape of formula) or literals (one
compilation per published profile, and the fastest to run). Names and values that come from a user are always
parameters: nothing of theirs is spliced into source. The files in `ranking/painless_scripts/` are what this
module writes for plain profiles, one per curve; `templates apply` deploys them, and a unit test holds them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from ranking import fields
from ranking.factors import CategoryWeights, Factor, NumericFactor
from ranking.freshness import Freshness
from ranking.image import AiRule, ImageBoost, Piecewise, Power, Sigmoid
from ranking.profile import Profile

SCRIPT_VERSION = "v1"

# A date field reads "2025" as a year, its long beside it as 2025 ms: below this, the date is asked.
_UNAMBIGUOUS_MS = 9_999_999_999
_CREATED = f"""double created = Double.NaN;
if (doc.containsKey('{fields.CREATED_MS}')) {{
  def millis = doc['{fields.CREATED_MS}'];
  if (millis.size() != 0 && millis.value > {_UNAMBIGUOUS_MS}L) {{ created = millis.value; }}
}}
if (Double.isNaN(created)) {{
  def dates = doc['{fields.CREATED_AT}'];
  if (dates.size() != 0) {{ created = dates.value.toInstant().toEpochMilli(); }}
}}"""


@dataclass(slots=True)
class Script:
    """Source under construction, and the parameters it reads."""

    literal: bool = False  # numbers as literals
    lines: list[str] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The script as the server is given it."""
        return "\n".join(self.lines) + "\n"

    def number(self, name: str, value: float) -> str:
        """An expression for a number of the profile."""
        if self.literal:
            return repr(float(value))
        return self.value(name, float(value))

    def value(self, name: str, value: Any) -> str:
        """An expression for something that is always a parameter."""
        self.params[name] = value
        return f"params.{name}"

    def add(self, text: str) -> None:
        """Add lines."""
        self.lines += text.splitlines()


def score_script(profile: Profile, now_ms: int, *, literal: bool = False) -> Script:
    """The whole formula as one script, for `script_score`: one cast.

    Args:
        profile: resolved for its platform.
        now_ms: the clock, always a parameter.
        literal: write the profile's numbers into the source.
    """
    script = Script(literal)
    constants = image_terms(profile.image)
    _image(script, profile.image)
    rel_base = script.number("rel_base", constants[0])
    rel_image = script.number("rel_image", constants[1])
    add_image = script.number("add_image", constants[2])
    script.add(f"double combined = _score * ({rel_base} + {rel_image} * image) + {add_image} * image;")
    result = "combined"
    if profile.freshness is not None:
        result += f" * {_freshness(script, profile.freshness, now_ms)}"
    for i, factor in enumerate(profile.factors):
        result += f" * {_factor(script, factor, i)}"
    script.add(f"return {result};")
    return script


def image_script(image: ImageBoost) -> Script:
    """The image term alone, for a function inside `function_score`."""
    script = Script()
    _image(script, image)
    script.add("return image;")
    return script


def factor_script(factor: Factor) -> Script:
    """One factor alone, for a function inside `function_score`."""
    script = Script()
    script.add(f"return {_factor(script, factor, 0)};")
    return script


def image_terms(image: ImageBoost) -> tuple[float, float, float]:
    """The boost as `rel * (a + b * image) + c * image`: its constants a, b, c."""
    match image.mode:
        case "none":
            return 1.0, 0.0, 0.0
        case "additive":
            return 1.0, 0.0, image.weight
        case "multiplicative":
            return 1.0 - image.weight, image.weight, 0.0


def script_files() -> dict[str, str]:
    """The stored scripts by id, from the files beside this module."""
    folder = resources.files("ranking") / "painless_scripts"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".painless"))
    return {
        f"{name.removesuffix('.painless')}-{SCRIPT_VERSION}": (folder / name).read_text(encoding="utf-8")
        for name in names
    }


def script_id(profile: Profile) -> str | None:
    """Id of the deployed script that serves a profile; None where only a script of its own can."""
    if not profile.image.is_plain or profile.factors:
        return None
    freshness = profile.freshness
    if freshness is not None and freshness.missing != 1:
        return None
    return f"rank-boost-{freshness.curve if freshness else 'none'}-{SCRIPT_VERSION}"


def _image(script: Script, image: ImageBoost) -> None:
    missing = script.number("missing", image.missing)
    name = fields.IMAGE_SCORE
    script.add(f"def scores = doc['{name}'];")
    script.add(f"double image = scores.size() == 0 ? {missing} : scores.value;")
    if image.ai_generated is not None:
        _ai_rule(script, image.ai_generated)
    match image.transform:
        case Power(exponent=exponent):
            script.add(f"image = Math.pow(image, {script.number('exponent', exponent)});")
        case Sigmoid(center=center, steepness=steepness):
            slope, middle = script.number("steepness", -steepness), script.number("center", center)
            script.add(f"image = 1.0 / (1.0 + Math.exp({slope} * (image - {middle})));")
        case Piecewise() as piecewise:
            _piecewise(script, piecewise)
        case _:
            pass


def _ai_rule(script: Script, rule: AiRule) -> None:
    above = script.number("ai_above", rule.above)
    name = fields.AI_PROBABILITY
    script.add(f"def generated = doc['{name}'];")
    test = f"generated.size() != 0 && generated.value > {above}"
    if rule.cap is not None:
        script.add(f"if ({test}) {{ image = Math.min(image, {script.number('ai_cap', rule.cap)}); }}")
    elif rule.neutral is not None:
        script.add(f"if ({test}) {{ image = {script.number('ai_neutral', rule.neutral)}; }}")


def _piecewise(script: Script, piecewise: Piecewise) -> None:
    first_x, first_y = piecewise.points[0]
    last_y = piecewise.points[-1][1]
    script.add(f"if (image <= {script.number('x0', first_x)}) {{ image = {script.number('y0', first_y)}; }}")
    for i, (x0, y0, slope, x1) in enumerate(piecewise.pieces):
        names = (
            script.number(f"to{i}", x1),
            script.number(f"y{i}", y0),
            script.number(f"slope{i}", slope),
            script.number(f"x{i}", x0),
        )
        script.add("else if (image < {}) {{ image = {} + {} * (image - {}); }}".format(*names))
    script.add(f"else {{ image = {script.number('last', last_y)}; }}")


def _freshness(script: Script, freshness: Freshness, now_ms: int) -> str:
    """Adds the distance; returns the factor's expression.

    A date is read as a ZonedDateTime, one object per document. Where the mapping has `created_at.ms`, the
    same number is read as a long, and the date only for documents that lack it or are of 1970: half the cost.
    """
    now, offset = script.value("now_ms", now_ms), script.number("offset_ms", freshness.offset)
    script.add(_CREATED)
    script.add(f"double now = {now};")
    script.add("double distance = 0.0;")
    script.add(
        f"if (!Double.isNaN(created)) {{ distance = Math.max(0.0, Math.abs(created - now) - {offset}); }}"
    )
    shape = script.number("shape", freshness.shape)
    curve = {
        "gauss": f"Math.exp(0.5 * (distance * distance) / {shape})",
        "exp": f"Math.exp({shape} * distance)",
        "linear": f"Math.max(0.0, ({shape} - distance) / {shape})",
    }[freshness.curve]
    if freshness.missing == 1:
        return curve
    undated = script.number("undated", freshness.missing)
    script.add(f"double fresh = Double.isNaN(created) ? {undated} : {curve};")
    return "fresh"


def _factor(script: Script, factor: Factor, i: int) -> str:
    """Adds what factor `i` needs; returns its expression."""
    values, out = f"values{i}", f"factor{i}"
    script.add(f"def {values} = doc[{script.value(f'f{i}_field', factor.field)}];")
    if isinstance(factor, CategoryWeights):
        weights = script.value(f"f{i}_weights", {k: float(v) for k, v in factor.weights.items()})
        default = script.number(f"f{i}_default", factor.default)
        script.add(f"double {out} = {default};")
        script.add(f"if ({values}.size() != 0) {{ {out} = {weights}.getOrDefault({values}.value, {out}); }}")
        return out
    if isinstance(factor, NumericFactor):
        missing = script.number(f"f{i}_missing", factor.missing)
        script.add(f"double {out} = {values}.size() == 0 ? {missing} : {values}.value;")
        script.add(f"{out} = Math.max({out} * {script.number(f'f{i}_factor', factor.factor)}, 0.0);")
        modified = {
            "none": None,
            "log1p": f"Math.log10({out} + 1.0)",
            "ln1p": f"Math.log1p({out})",
            "log2p": f"Math.log10({out} + 2.0)",
            "sqrt": f"Math.sqrt({out})",
            "square": f"{out} * {out}",
            "reciprocal": f"1.0 / {out}",
        }[factor.modifier]
        if modified is not None:
            script.add(f"{out} = {modified};")
        low, high = script.number(f"f{i}_min", factor.min), script.number(f"f{i}_max", factor.max)
        script.add(f"{out} = Math.min(Math.max({out}, {low}), {high});")
        return out
    tests = [f"{values}.size() != 0"]
    if factor.any_of is not None:
        tests.append(f"{script.value(f'f{i}_any_of', list(factor.any_of))}.contains({values}.value)")
    if factor.gte is not None:
        tests.append(f"{values}.value >= {script.number(f'f{i}_gte', factor.gte)}")
    if factor.lt is not None:
        tests.append(f"{values}.value < {script.number(f'f{i}_lt', factor.lt)}")
    script.add(f"double {out} = {' && '.join(tests)} ? {script.number(f'f{i}_weight', factor.weight)} : 1.0;")
    return out
