"""A published profile as search templates (mustache), for clusters that have the lang-mustache module.

A service calls `POST INDEX/_search/template` with the id and three parameters: `text`, `now_ms` and, if it
wants another length than the profile's k, `size`. `text` travels through `toJson`, so it cannot break out.
"""

from __future__ import annotations

import json
import re

from ranking.body_template import CLOCK, TEXT, body_template
from ranking.profile import Profile
from ranking.stored import content_id, resolved

TEMPLATE_PREFIX = "rank-search-"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def search_templates(profile: Profile) -> tuple[dict[str, str], dict[str, str]]:
    """The search templates of every platform.

    Returns:
        By platform: id. And by id: the source.
    """
    sources = {platform: template_source(one) for platform, one in resolved(profile).items()}
    ids = {
        platform: f"{TEMPLATE_PREFIX}{profile.name}-{content_id(source)}"
        for platform, source in sources.items()
    }
    return ids, {ids[platform]: source for platform, source in sources.items()}


def template_source(profile: Profile) -> str:
    """The search body of a profile, resolved for its platform, as mustache.

    Braces inside the profile's own strings are written as JSON escapes, so that none is read as a tag.
    """
    body = body_template(profile)
    size = body.pop("size")
    plain = _STRING.sub(lambda found: _without_braces(found[0]), json.dumps(body, ensure_ascii=False))
    text, clock = (_without_braces(json.dumps(one)) for one in (TEXT, CLOCK))
    source = plain.replace(text, "{{#toJson}}text{{/toJson}}").replace(clock, "{{now_ms}} ")
    return f'{{"size": {{{{size}}}}{{{{^size}}}}{size}{{{{/size}}}}, {source[1:]}'


def _without_braces(string: str) -> str:
    return string.replace("{", "\\u007b").replace("}", "\\u007d")
