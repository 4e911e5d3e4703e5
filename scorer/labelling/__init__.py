"""Labels by a vision model: any OpenAI-compatible endpoint, one request per page with all its photos.

run.py           a run: threads, files, resume          journal.py    every answer, raw, before it is used
endpoint.py      one request, its retries               budget.py     what it cost, whether it may go on
page_labels.py   one page: order, answer, repair        pace.py       requests and tokens per minute
prompt.py        versioned prompts (prompts/*.md)       answer.py     what must be answered
bias.py          does the order sway the scores?        picture.py    what of a photo is sent
"""

from __future__ import annotations

from scorer.labelling.bias import PositionBias, position_bias
from scorer.labelling.budget import Prices
from scorer.labelling.endpoint import EndpointConfig
from scorer.labelling.page_file import Page, read_pages_to_label
from scorer.labelling.prompt import Prompt, find_prompt
from scorer.labelling.run import LabelConfig, LabelSummary, label_pages

__all__ = [
    "EndpointConfig",
    "LabelConfig",
    "LabelSummary",
    "Page",
    "PositionBias",
    "Prices",
    "Prompt",
    "find_prompt",
    "label_pages",
    "position_bias",
    "read_pages_to_label",
]
