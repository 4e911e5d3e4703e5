"""What a model must answer, and whether it did."""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

LOWEST: Final = 1
HIGHEST: Final = 10
_Model = TypeVar("_Model", bound=BaseModel)
_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(?P<body>.*)\n\s*```\s*$", re.DOTALL)


class BadAnswerError(ValueError):
    """An answer that cannot be used; the message is what the model is told when it is asked again."""


class PhotoAnswer(BaseModel):
    """What a model says of one photo."""

    model_config = ConfigDict(extra="ignore")

    photo: StrictInt  # 1-based, as shown
    justification: str = Field(max_length=5_000)
    adjectives: list[str] = Field(max_length=20)
    score: StrictInt = Field(ge=LOWEST, le=HIGHEST)


class PageAnswer(BaseModel):
    """What a model says of a page."""

    model_config = ConfigDict(extra="ignore")

    comparison: str = ""
    photos: list[PhotoAnswer]


class Translation(BaseModel):
    """A query in English."""

    model_config = ConfigDict(extra="ignore")

    english: str = Field(min_length=1, max_length=1_000)


def parse_page(text: str, n: int) -> PageAnswer:
    """The answer for a page of n photos, in the order shown.

    Raises:
        BadAnswerError: not JSON, another shape, or not each photo once.
    """
    answer = _parse(PageAnswer, text)
    numbers = [photo.photo for photo in answer.photos]
    if sorted(numbers) != list(range(1, n + 1)):
        raise BadAnswerError(f"photos must be numbered 1 to {n}, each once; got {numbers[:50]}")
    answer.photos.sort(key=lambda photo: photo.photo)
    return answer


def parse_translation(text: str) -> str:
    """The query in English.

    Raises:
        BadAnswerError: not JSON, or another shape.
    """
    return _parse(Translation, text).english.strip()


def _parse(model: type[_Model], text: str) -> _Model:
    fenced = _FENCE.match(text)
    try:
        return model.model_validate_json(fenced["body"] if fenced else text)
    except ValidationError as e:
        problems = []
        for error in e.errors(include_url=False, include_input=False)[:5]:
            where = ".".join(map(str, error["loc"]))
            problems.append(f"{where}: {error['msg']}" if where else error["msg"])
        raise BadAnswerError("; ".join(problems)) from None


def page_schema(n: int) -> dict[str, Any]:
    """The JSON Schema of a page's answer, in the subset that strict structured output takes everywhere.

    The comparison and each justification come before the score, so that it is reasoned first.
    """
    photo = {
        "photo": {"type": "integer", "description": f"Number of the photo, 1 to {n}."},
        "justification": {"type": "string", "description": "What is seen, in one sentence."},
        "adjectives": {"type": "array", "items": {"type": "string"}, "description": "Two or three."},
        "score": {"type": "integer", "description": f"{LOWEST} (worst) to {HIGHEST} (best)."},
    }
    return _object(
        {
            "comparison": {
                "type": "string",
                "description": "The photos compared, in two or three sentences.",
            },
            "photos": {"type": "array", "items": _object(photo), "description": f"{n} photos, as shown."},
        }
    )


def translation_schema() -> dict[str, Any]:
    """The JSON Schema of a translation."""
    return _object({"english": {"type": "string"}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


__all__ = [
    "HIGHEST",
    "LOWEST",
    "BadAnswerError",
    "PageAnswer",
    "PhotoAnswer",
    "page_schema",
    "parse_page",
    "parse_translation",
    "translation_schema",
]
