"""Names and marks that image generators leave in metadata."""

from __future__ import annotations

import re
from typing import Final

# name in the index -> what gives it away, in any text of the metadata
GENERATORS: Final[dict[str, re.Pattern[str]]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "midjourney": r"\bmidjourney\b|\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-",
        "dall-e": r"\bDALL.{0,2}E\b|\bgpt-?image\b|\bOpenAI[- ]API\b|\bmade with OpenAI\b|\bChatGPT\b",
        "firefly": r"\bAdobe[ _]Firefly\b|\bFirefly Image\b",
        "google-ai": r"\bMade with Google AI\b|\bGoogle Imagen\b|\bEdited with Google AI\b",
        "bing": r"\bBing Image Creator\b|\bMicrosoft Designer Image Creator\b",
        "comfyui": r"\bComfyUI\b",
        "novelai": r"\bNovelAI\b",
        "invokeai": r"\bInvokeAI\b",
        "fooocus": r"\bFooocus\b",
        "flux": r"\bBlack Forest Labs\b|\bFLUX\.1\b",
        "ideogram": r"\bIdeogram AI\b",
        "leonardo": r"\bLeonardo\.Ai\b",
        "grok": r"\bAurora by xAI\b|\bGrok Imagine\b",
        "stable-diffusion": r"\bStable[ _]?Diffusion\b|\bstability\.ai\b|\bSDXL\b"
        r"|\bSteps: \d{1,5}, (?:Sampler|CFG scale|Schedule type): ",
    }.items()
}
# keyword of a PNG text -> the generator that writes it
KEYWORDS: Final = {
    "parameters": "stable-diffusion",
    "sd-metadata": "stable-diffusion",
    "dream": "stable-diffusion",
    "generation_data": "stable-diffusion",
    "workflow": "comfyui",
    "prompt": "comfyui",
    "invokeai_metadata": "invokeai",
    "invokeai_graph": "invokeai",
    "fooocus_scheme": "fooocus",
}
_SETTINGS = re.compile(r"Steps: \d+|\"(?:class_type|steps|sampler|cfg_scale|seed|nodes)\"", re.IGNORECASE)
MAX_SEARCHED: Final = 100_000  # characters of one text that are searched


def generator_of(text: str) -> str | None:
    """The generator that a text names."""
    searched = text[:MAX_SEARCHED]
    return next((name for name, pattern in GENERATORS.items() if pattern.search(searched)), None)


def generator_of_keyword(keyword: str, text: str) -> str | None:
    """The generator that writes such a PNG text; its content must look like settings of one."""
    name = KEYWORDS.get(keyword.lower())
    return name if name is not None and _SETTINGS.search(text[:MAX_SEARCHED]) else None


__all__ = ["GENERATORS", "generator_of", "generator_of_keyword"]
