"""What a score is: the profile, the formula and its twins, query bodies, search with capture.

Names are loaded when first used, so that `import ranking` and `rank-cli --help` stay fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranking.capture import CaptureRecord, read_captures, write_captures
    from ranking.errors import RankError
    from ranking.es import connect
    from ranking.formula import Candidates, bound, final_scores, rank_order, score_parts
    from ranking.freshness import Freshness
    from ranking.lint import lint_body
    from ranking.profile import Profile, builtin_profiles, find_profile, load_profile
    from ranking.query import search_body
    from ranking.recorder import Recorder
    from ranking.search import Searcher
    from ranking.settings import Settings, get_settings

_HOME = {
    "Candidates": "formula",
    "CaptureRecord": "capture",
    "Freshness": "freshness",
    "Profile": "profile",
    "RankError": "errors",
    "Recorder": "recorder",
    "Searcher": "search",
    "Settings": "settings",
    "bound": "formula",
    "builtin_profiles": "profile",
    "connect": "es",
    "final_scores": "formula",
    "find_profile": "profile",
    "get_settings": "settings",
    "lint_body": "lint",
    "load_profile": "profile",
    "rank_order": "formula",
    "read_captures": "capture",
    "score_parts": "formula",
    "search_body": "query",
    "write_captures": "capture",
}

__all__ = [
    "Candidates",
    "CaptureRecord",
    "Freshness",
    "Profile",
    "RankError",
    "Recorder",
    "Searcher",
    "Settings",
    "bound",
    "builtin_profiles",
    "connect",
    "final_scores",
    "find_profile",
    "get_settings",
    "lint_body",
    "load_profile",
    "rank_order",
    "read_captures",
    "score_parts",
    "search_body",
    "write_captures",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ranking' has no attribute {name!r}")
    return getattr(import_module(f"ranking.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
