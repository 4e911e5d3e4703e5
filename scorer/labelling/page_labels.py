"""One page: shown in a drawn order, asked for, checked, asked once more where the answer was no use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ranking.draw import take, uniforms
from scorer.labelling.answer import (
    BadAnswerError,
    PageAnswer,
    page_schema,
    parse_page,
    parse_translation,
    translation_schema,
)
from scorer.labelling.journal import Answer, key_of
from scorer.labelling.page_file import Page
from scorer.labelling.prompt import Prompt

REFUSED = ("content_filter",)


class Asker(Protocol):
    """Sends a request, or takes its answer from the journal."""

    def __call__(
        self,
        key: str,
        kind: str,
        serp_id: str,
        messages: Callable[[], list[Any]],
        schema: Mapping[str, Any],
        *,
        longer: bool = False,
    ) -> Answer:
        """The answer to the request of that key."""


class NoLabelError(Exception):
    """A page without labels, and why. `kind` is "refused" or "bad answer"."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class PageLabels:
    """Labels of one page from one pass."""

    page: Page
    passed: int  # 0 for the first pass
    order: NDArray[np.int64]  # (n_images,): which image was shown at each place
    query_english: str
    comparison: str
    scores: tuple[int, ...]  # in the order of the page's images, not of the places
    justifications: tuple[str, ...]
    adjectives: tuple[tuple[str, ...], ...]
    repaired: bool

    def to_dict(self, judge: str) -> dict[str, Any]:
        """As a line of a label file."""
        page = self.page
        return {
            "serp_id": page.serp_id,
            "category": page.category,
            "query": page.query,
            "query_english": self.query_english,
            "judge": judge if self.passed == 0 else f"{judge}/pass{self.passed + 1}",
            "images": list(page.images),
            "scores": list(self.scores),
            "adjectives": [list(words) for words in self.adjectives],
            "justifications": list(self.justifications),
            "comparison": self.comparison,
            "shown_order": [int(i) for i in self.order],
            "repaired": self.repaired,
            **page.carried,
        }


def shown_order(n: int, serp_id: str, seed: int, passed: int) -> NDArray[np.int64]:
    """Which image stands at each place: drawn for each page, the same every time.

    Every second pass shows the order before it backwards, so that two passes put each photo once in either
    half of the page.
    """
    drawn = np.argsort(take(uniforms(f"label-order-{seed}-{passed // 2}", serp_id), n), kind="stable")
    return np.asarray(drawn[::-1] if passed % 2 else drawn, dtype=np.int64)


def translate(query: str, prompt: Prompt, ask: Asker, model: str) -> str | None:
    """The query in English; None where no usable translation came, twice."""
    messages = [{"role": "user", "content": prompt.render(query=query)}]
    key = key_of("translate", model, prompt.hash, query)
    answer = ask(key, "translate", "", lambda: messages, translation_schema())
    for second in (False, True):
        try:
            return parse_translation(_text_of(answer))
        except (BadAnswerError, NoLabelError) as e:
            if second or isinstance(e, NoLabelError):
                return None
            again = [*messages, *_repair_messages(answer, str(e))]
            repair_key = key_of("translate-repair", key, answer.text)
            answer = ask(repair_key, "translate-repair", "", lambda: again, translation_schema())  # noqa: B023
    return None


def label_page(
    page: Page,
    pictures: Callable[[Sequence[str]], list[str]],
    ask: Asker,
    *,
    prompt: Prompt,
    model: str,
    seed: int,
    passed: int,
    query_english: str,
    about_pictures: str,
) -> PageLabels:
    """Labels of one page.

    Args:
        page: what to label.
        pictures: image names to data: addresses; called only when something is asked.
        ask: sends requests.
        prompt: the words.
        model: part of the request's key.
        seed: of the order in which photos are shown.
        passed: number of the pass, from 0.
        query_english: shown in the prompt.
        about_pictures: how pictures are made; part of the request's key.

    Raises:
        NoLabelError: refused, or no usable answer after one repair.
    """
    n = len(page.images)
    order = shown_order(n, page.serp_id, seed, passed)
    shown = [page.images[i] for i in order]
    words = prompt.render(query=query_english, category=page.category, n=n)
    key = key_of("label", model, prompt.hash, words, shown, about_pictures, passed)

    def messages() -> list[Any]:
        parts: list[dict[str, Any]] = [{"type": "text", "text": words}]
        for number, address in enumerate(pictures(shown), start=1):
            parts.append({"type": "text", "text": f"Photo {number}:"})
            parts.append({"type": "image_url", "image_url": {"url": address}})
        return [{"role": "user", "content": parts}]

    answer = ask(key, "label", page.serp_id, messages, page_schema(n))
    repaired = False
    try:
        told = parse_page(_text_of(answer), n)
    except BadAnswerError as first:
        repaired = True
        told = _repaired(answer, str(first), messages, ask, n)
    of_image = [told.photos[place] for place in np.argsort(order)]  # answers come in the order shown
    return PageLabels(
        page=page,
        passed=passed,
        order=order,
        query_english=query_english,
        comparison=told.comparison,
        scores=tuple(photo.score for photo in of_image),
        justifications=tuple(photo.justification for photo in of_image),
        adjectives=tuple(tuple(map(str.lower, photo.adjectives)) for photo in of_image),
        repaired=repaired,
    )


def _repaired(bad: Answer, problem: str, messages: Callable[[], list[Any]], ask: Asker, n: int) -> PageAnswer:
    """Ask once more: with what was wrong, or with more room where the answer was cut off."""
    cut = bad.finish == "length"
    key = key_of("repair", bad.key, bad.text)

    def again() -> list[Any]:
        return messages() if cut else [*messages(), *_repair_messages(bad, problem)]

    answer = ask(key, "repair", bad.serp_id, again, page_schema(n), longer=cut)
    try:
        return parse_page(_text_of(answer), n)
    except BadAnswerError as e:
        raise NoLabelError("bad answer", f"{problem}; and after a second try: {e}") from None


def _repair_messages(bad: Answer, problem: str) -> list[Any]:
    return [
        {"role": "assistant", "content": bad.text or ""},
        {
            "role": "user",
            "content": f"Your answer cannot be used: {problem}. Answer again, with the whole JSON object.",
        },
    ]


def _text_of(answer: Answer) -> str:
    """The text of an answer that is one.

    Raises:
        NoLabelError: the model refused, which asking again does not change.
        BadAnswerError: cut off, or empty.
    """
    if answer.refusal is not None or answer.finish in REFUSED:
        raise NoLabelError("refused", answer.refusal or f"stopped by {answer.finish}")
    if answer.finish == "length":
        raise BadAnswerError("the answer was cut off at its longest length")
    if not answer.text:
        raise BadAnswerError("the answer was empty")
    return answer.text


__all__ = ["Asker", "NoLabelError", "PageLabels", "label_page", "shown_order", "translate"]
