"""A small log with every hard case, its comparisons and its report: what the browser tests share.

Some candidates tie, lack an image score, a date, a price or a category; queries and titles are hostile; one
platform is missing; profiles cover every curve, transform, kind of factor, the AI rule and both executions.
"""

import functools
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from ranking.capture import CapturedItem, CaptureRecord, read_profiles, write_captures
from ranking.explain import candidates
from ranking.formula import final_scores, rank_order
from ranking.profile import Profile
from replay.compare import compare_rankings
from replay.engine import rank
from replay.judgments import Judgments
from replay.log import read_log
from replay.parity import verify
from replay.report import ItemCard, build_report
from replay.significance import DIMENSIONS

NOW = 1_800_000_000_000
DAY = 86_400_000
N_SEARCHES, N_ITEMS, N_CANDIDATES = 24, 90, 60
EVIL = '</script><img src=x onerror="window.hacked=1">'
TURNED = "\u202egnp.nohtyp\u2066 \u2028 \u0000<b>&amp;"  # right to left, a line separator, no end
FRESH = {"curve": "gauss", "scale": "14d", "offset": "1d", "decay": 0.5}
CONTROL = Profile.model_validate({"name": "control", "freshness": FRESH, "k": 50, "window": 60})
ADDITIVE = Profile.model_validate(
    {
        "name": "additive",
        "freshness": FRESH,
        "k": 50,
        "window": 60,
        "image": {"mode": "additive", "weight": 3.0},
        "platforms": {"ios": {"image": {"weight": 1.5}}},
    }
)
LINEAR = Profile.model_validate(
    {
        "name": "multiplicative",
        "freshness": {"curve": "linear", "scale": "20d", "offset": "12h", "decay": 0.3},
        "k": 50,
        "window": 60,
        "execution": "script_score",
        "image": {"mode": "multiplicative", "weight": 0.7, "missing": 0.2},
    }
)
EXP = Profile.model_validate(
    {
        "name": "exp",
        "freshness": {"curve": "exp", "scale": "20d", "offset": "12h", "decay": 0.3, "missing": 0.7},
        "k": 50,
        "window": 60,
        "image": {
            "mode": "multiplicative",
            "weight": 0.7,
            "missing": 0.2,
            "transform": {"type": "sigmoid", "steepness": 6},
        },
        "factors": [
            {"type": "rule", "field": "price", "gte": 2000, "weight": 1.3},
            {"type": "category", "weights": {"dress": 1.2}, "default": 0.9},
        ],
    }
)
CURVED = Profile.model_validate(
    {
        "name": "curved",
        "freshness": {"curve": "gauss", "scale": "9d", "decay": 0.4},
        "k": 50,
        "window": 60,
        "execution": "script_score",
        "image": {
            "mode": "additive",
            "weight": 4.5,
            "transform": {"type": "piecewise", "points": [[0.1, 0.05], [0.4, 0.2], [0.7, 0.9]]},
            "ai_generated": {"above": 0.6, "cap": 0.35},
        },
        "factors": [
            {
                "type": "numeric",
                "field": "price",
                "modifier": "log1p",
                "factor": 0.01,
                "missing": 1,
                "max": 2,
            },
            {"type": "rule", "field": "category", "any_of": ["hat", "dress"], "weight": 1.1},
        ],
    }
)
POWER = Profile.model_validate(
    {
        "name": "power",
        "freshness": FRESH,
        "k": 50,
        "window": 60,
        "image": {
            "mode": "additive",
            "weight": 2.2,
            "transform": {"type": "power", "exponent": 1.7},
            "ai_generated": {"above": 0.3, "neutral": 0.5},
        },
        "factors": [
            {
                "type": "numeric",
                "field": "price",
                "modifier": "reciprocal",
                "factor": 0.001,
                "missing": 2,
                "max": 3,
            },
            {
                "type": "numeric",
                "field": "price",
                "modifier": "sqrt",
                "factor": 0.001,
                "missing": 2,
                "max": 2,
            },
        ],
    }
)


def draw_photo(path, rng):
    photo = Image.new("RGB", (240, 320), tuple(int(v) for v in rng.integers(60, 240, 3)))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((60, 70, 180, 260), fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    photo.save(path)


def make_record(n, rng):
    """One search served under CONTROL; some candidates tie, lack an image score, or lack a date."""
    picked = rng.permutation(N_ITEMS)[:N_CANDIDATES]
    items = []
    for at, item in enumerate(picked):
        rel = np.float32(rng.gamma(4.0, 2.0))
        image = None if rng.random() < 0.05 else float(np.float32(rng.random()))
        created = None if rng.random() < 0.05 else NOW - n * 3_600_000 - int(rng.exponential(9 * DAY))
        if at and rng.random() < 0.1:  # a tie with the one before
            before = items[-1]
            rel, image, created = before.rel, before.image_score, before.created_ms
        items.append(
            CapturedItem(
                f"item-{item:03d}",
                float(rel),
                image_score=image,
                created_ms=created,
                price=None if item % 13 == 0 else 400.0 + 37.0 * item,
                category=(None, "dress", "hat", "constructor")[item % 4],  # a name that every JS object has
                ai_prob=None if item % 5 == 0 else float(np.float32(item / N_ITEMS)),
            )
        )
    now_ms = NOW - n * 3_600_000
    platform = ("web", "ios", "android", None)[n % 4]
    served = CONTROL.for_platform(platform)
    scores = final_scores(served, candidates(items), now_ms)
    order = rank_order(scores, [one.item_id for one in items])
    for place, p in enumerate(order[:50], start=1):
        items[p] = replace(items[p], rank=place, score=float(scores[p]))
    return CaptureRecord(
        search_id=f"s{n}",
        query={5: EVIL, 6: TURNED}.get(n, f"query {n // 2}"),
        now_ms=now_ms,
        index="items",
        profile="control",
        profile_hash=served.hash,
        k=50,
        total_hits=500,
        window=N_CANDIDATES,
        rel_floor=None if n % 3 == 0 else float(min(one.rel for one in items)),
        items=tuple(items),
        platform=platform,
    )


@functools.cache
def made(folder):
    """The log, its judgments and its comparisons, written to and read from `folder`."""
    rng = np.random.default_rng(11)
    write_captures(folder, [make_record(n, rng) for n in range(N_SEARCHES)], [CONTROL])
    assert read_profiles(folder)
    log = read_log(folder)
    rng = np.random.default_rng(12)
    grades = {
        str(query): {f"item-{i:03d}": float(rng.integers(0, 4)) for i in range(N_ITEMS) if rng.random() < 0.6}
        for query in sorted(set(log.searches["query"]))
    }
    judgments = Judgments(grades, ("simulated-buyers",))
    base = rank(log, CONTROL)
    sides = [rank(log, one) for one in (ADDITIVE, LINEAR)]
    sides += [rank(log, EXP, clock_shift_ms=7 * DAY), rank(log, CURVED), rank(log, POWER)]
    return (
        log,
        judgments,
        [compare_rankings(log, base, side, judgments, dimensions=DIMENSIONS) for side in sides],
    )


def write_report(folder, photos, name="report.html", **options):
    """The report of `made(folder)`."""
    log, judgments, comparisons = made(folder)
    rng = np.random.default_rng(13)
    items = {}
    for i in range(N_ITEMS):
        photo = photos / f"{i}.png"
        if not photo.exists():
            draw_photo(photo, rng)
        title = {7: EVIL, 8: TURNED}.get(i, f"dress {i}")
        items[f"item-{i:03d}"] = ItemCard(title, None, "dress", photo)
    return build_report(
        log,
        comparisons,
        verify(log),
        live=None,
        judgments=judgments,
        items=items,
        out=photos / name,
        simulated_clicks=True,
        **options,
    )
