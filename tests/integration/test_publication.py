"""Publication on a real cluster: whole or not at all, one of two engineers, there and back, bit for bit."""

from __future__ import annotations

import json
import math
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
from elasticsearch import ApiError, Elasticsearch, NotFoundError, helpers
from typer.testing import CliRunner

from index_templates import apply_steps, desired_state, ensure_index, plan_steps, read_live
from ranking.body_template import fill_body
from ranking.capture import read_captures, write_captures
from ranking.cli import full_app
from ranking.clock import DAY_MS
from ranking.errors import ConfigError, InputError, RankError, ServerError, StalePlan
from ranking.profile import Profile
from ranking.prune import remove_scripts, unused_scripts
from ranking.publish import change_percent, promote, publish, rollback
from ranking.published import (
    Published,
    find_published,
    list_published,
    read_history,
    read_published,
    read_version,
    resolve,
)
from ranking.search import Searcher
from ranking.settings import get_settings

pytestmark = pytest.mark.engines

NOW = 1_795_000_000_000


@pytest.fixture
def where(es: Elasticsearch, prefix: str) -> Iterator[str]:
    """An index of profiles of the test's own; the scripts of its names go too."""
    yield f"{prefix}-profiles"
    for script in es.cluster.state(metric="metadata")["metadata"].get("stored_scripts", {}):
        if script.startswith(f"rank-profile-{prefix}"):
            es.delete_script(id=script)


def scripted(name: str, weight: float = 3.0, **changes: Any) -> Profile:
    return Profile.model_validate(
        {
            "name": name,
            "execution": "script_score",
            "image": {"mode": "additive", "weight": weight},
            "freshness": {"scale": "14d", "offset": "1d"},
            **changes,
        }
    )


def live(es: Elasticsearch, name: str, where: str) -> Published:
    found = read_published(es, name, index=where)
    assert found is not None
    return found


def put(es: Elasticsearch, profile: Profile, where: str, **options: Any) -> int:
    before = read_published(es, profile.name, index=where)
    return publish(es, profile, now_ms=NOW, replaces=before, index=where, **options)


class TestPublish:
    def test_versions_count_up_and_the_last_is_live(self, es: Elasticsearch, prefix: str, where: str) -> None:
        assert read_published(es, prefix, index=where) is None
        assert list_published(es, index=where) == []
        assert [put(es, scripted(prefix, w), where) for w in (1, 2)] == [1, 2]
        now = live(es, prefix, where)
        assert (now.version, now.profile, now.previous) == (2, scripted(prefix, 2), 1)
        assert read_version(es, prefix, 1, index=where).profile == scripted(prefix, 1)
        assert [one.version for one in read_history(es, prefix, index=where)] == [2, 1]
        assert [one.profile.name for one in list_published(es, index=where)] == [prefix]
        with pytest.raises(ConfigError, match=f"{prefix}@9"):
            find_published(es, f"{prefix}@9", index=where)

    def test_who_published_is_said_to_the_one_who_is_refused(
        self, es: Elasticsearch, prefix: str, where: str
    ) -> None:
        put(es, scripted(prefix, 1), where)
        both_saw = live(es, prefix, where)
        publish(es, scripted(prefix, 2), now_ms=NOW, replaces=both_saw, publisher="ana", index=where)
        with pytest.raises(StalePlan, match=rf"profile {prefix} \(now version 2, since 2026-.* by ana\)"):
            publish(es, scripted(prefix, 3), now_ms=NOW, replaces=both_saw, index=where)
        with pytest.raises(StalePlan):
            publish(es, scripted(prefix, 3), now_ms=NOW, replaces=None, index=where)
        assert live(es, prefix, where).profile == scripted(prefix, 2)
        with pytest.raises(ConfigError):  # what never was live leaves no version behind
            read_version(es, prefix, 3, index=where)

    @pytest.mark.parametrize("round_", range(3))
    def test_of_many_publishers_at_once_exactly_one_wins(
        self, es: Elasticsearch, prefix: str, where: str, round_: int
    ) -> None:
        before = None
        if round_:
            put(es, scripted(prefix, 1), where)
            before = live(es, prefix, where)
        won: list[tuple[int, float]] = []
        refused: list[RankError] = []
        together = threading.Barrier(8)

        def engineer(weight: float) -> None:
            together.wait()
            try:
                version = publish(es, scripted(prefix, weight), now_ms=NOW, replaces=before, index=where)
                won.append((version, weight))
            except StalePlan as e:
                refused.append(e)

        threads = [threading.Thread(target=engineer, args=(10.0 + i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(refused)) == (1, 7)
        now = live(es, prefix, where)
        assert (now.version, now.profile) == (won[0][0], scripted(prefix, won[0][1]))
        assert read_version(es, prefix, now.version, index=where).profile == now.profile
        es.indices.refresh(index=where)
        expected = [now.version, 1] if round_ else [now.version]
        assert [one.version for one in read_history(es, prefix, index=where)] == expected

    @pytest.mark.parametrize("allowed", range(5))
    def test_wherever_it_fails_the_old_one_stays_live(
        self, es: Elasticsearch, prefix: str, where: str, allowed: int
    ) -> None:
        """Each write in turn is refused: two scripts, the version's document, the live document."""
        put(es, scripted(prefix, 1), where)
        old = live(es, prefix, where)
        new = scripted(prefix, 2, platforms={"ios": {"image": {"weight": 1.5}}})
        flaky: Any = StopsAfter(es, allowed)
        if allowed < 4:
            with pytest.raises(ServerError, match="stopped on purpose"):
                publish(flaky, new, now_ms=NOW, replaces=old, index=where)
            assert live(es, prefix, where) == old
            assert resolve(es, prefix, "u1", index=where) == (old.profile, None)
            put(es, new, where)  # what was left behind is in nobody's way
        else:
            publish(flaky, new, now_ms=NOW, replaces=old, index=where)
        now = live(es, prefix, where)
        assert (now.version, now.profile, now.previous) == (3 if allowed == 3 else 2, new, 1)
        for script in now.scripts.values():
            assert es.get_script(id=script.id)["found"]

    def test_a_script_that_does_not_compile_is_refused_by_the_server(
        self, es: Elasticsearch, prefix: str, where: str
    ) -> None:
        put(es, scripted(prefix, 1), where)
        old = live(es, prefix, where)
        broken = ({}, {f"rank-profile-{prefix}-broken": "return doc[; // not painless"})
        with (
            mock.patch("ranking.publish.stored_scripts", return_value=broken),
            pytest.raises(ServerError, match=f"publish {prefix}"),
        ):
            put(es, scripted(prefix, 2), where)
        assert live(es, prefix, where) == old

    def test_an_answer_that_was_lost_is_not_taken_for_a_colleague(
        self, es: Elasticsearch, prefix: str, where: str
    ) -> None:
        """The write went through, its answer did not come, and the client asked again."""
        put(es, scripted(prefix, 1), where)
        old = live(es, prefix, where)
        assert publish(Twice(es), scripted(prefix, 2), now_ms=NOW, replaces=old, index=where)  # type: ignore[arg-type]
        assert live(es, prefix, where).profile == scripted(prefix, 2)

    def test_strange_names_in_a_profile_are_kept(self, es: Elasticsearch, prefix: str, where: str) -> None:
        weights = {"a..b": 2.0, "": 0.5, ".": 3.0, "{{text}}": 1.0, "x'] + y": 1.5, "ドレス": 2.0}
        profile = scripted(prefix, factors=[{"type": "category", "weights": weights}])
        put(es, profile, where)
        now = live(es, prefix, where)
        assert now.profile == profile
        assert now.scripts["default"].params["f0_weights"] == weights


class TestThereAndBack:
    def test_rollback_and_again(self, es: Elasticsearch, prefix: str, where: str) -> None:
        for weight in (1, 2, 3):
            put(es, scripted(prefix, weight), where)
        seen = []
        for to in (None, None, 1, None):
            rollback(es, live(es, prefix, where), now_ms=NOW, to=to, index=where)
            seen.append(live(es, prefix, where).version)
        assert seen == [2, 3, 1, 3]
        assert put(es, scripted(prefix, 4), where) == 4  # after the highest, not after the live one

    def test_nothing_to_go_back_to_is_said(self, es: Elasticsearch, prefix: str, where: str) -> None:
        put(es, scripted(prefix), where)
        with pytest.raises(ConfigError, match="no version was live before"):
            rollback(es, live(es, prefix, where), now_ms=NOW, index=where)
        with pytest.raises(InputError, match="no canary"):
            promote(es, live(es, prefix, where), now_ms=NOW, index=where)

    def test_pruned_scripts_come_back_with_a_rollback(
        self, es: Elasticsearch, prefix: str, where: str
    ) -> None:
        for weight in (1, 2, 3, 4, 5):
            put(es, scripted(prefix, weight), where)
        ids = {one.version: one.scripts["default"].id for one in read_history(es, prefix, index=where)}
        assert unused_scripts(es, keep=2, index=where) == sorted([ids[1], ids[2], ids[3]])
        assert unused_scripts(es, keep=1, index=where) == sorted(
            [ids[1], ids[2], ids[3]]
        )  # 4 was live before
        remove_scripts(es, [ids[1], ids[2], ids[3]])
        assert unused_scripts(es, keep=2, index=where) == []
        with pytest.raises(NotFoundError):
            es.get_script(id=ids[1])
        rollback(es, live(es, prefix, where), now_ms=NOW, to=1, index=where)
        assert es.get_script(id=ids[1])["found"]

    def test_a_script_that_a_kept_version_shares_stays(
        self, es: Elasticsearch, prefix: str, where: str
    ) -> None:
        for k in (10, 20, 30, 40):  # the page's length is not in the script
            put(es, scripted(prefix, k=k), where)
        assert unused_scripts(es, keep=1, index=where) == []


class TestCanary:
    def test_from_five_percent_to_everybody(self, es: Elasticsearch, prefix: str, where: str) -> None:
        with pytest.raises(InputError, match="no baseline"):
            put(es, scripted(prefix, 1), where, canary_percent=5)
        put(es, scripted(prefix, 1), where)
        assert resolve(es, prefix, "u1", index=where) == (scripted(prefix, 1), None)
        assert put(es, scripted(prefix, 2), where, canary_percent=5.0) == 2
        now = live(es, prefix, where)
        assert (now.version, now.profile) == (1, scripted(prefix, 1))
        assert now.canary is not None
        assert now.canary.as_dict() == {"version": 2, "percent": 5.0, "salt": f"{prefix}@2"}
        change_percent(es, now, 50.0, now_ms=NOW, index=where)
        n = 300
        arms = [resolve(es, prefix, f"user-{i}", index=where) for i in range(n)]
        assert arms == [resolve(es, prefix, f"user-{i}", index=where) for i in range(n)]
        taken = [arm == f"{prefix}@2/canary" for _, arm in arms]
        assert abs(sum(taken) - n / 2) < 3 * math.sqrt(n / 4)
        assert all(
            profile.image.weight == (2 if t else 1) for (profile, _), t in zip(arms, taken, strict=True)
        )
        assert resolve(es, prefix, None, index=where) == (scripted(prefix, 1), None)
        promote(es, live(es, prefix, where), now_ms=NOW, index=where)
        assert resolve(es, prefix, "user-1", index=where) == (scripted(prefix, 2), None)
        assert live(es, prefix, where).previous == 1

    def test_a_rollback_ends_the_canary_first(self, es: Elasticsearch, prefix: str, where: str) -> None:
        for weight in (1, 2):
            put(es, scripted(prefix, weight), where)
        put(es, scripted(prefix, 3), where, canary_percent=10)
        assert rollback(es, live(es, prefix, where), now_ms=NOW, index=where).version == 2
        now = live(es, prefix, where)
        assert (now.version, now.canary, now.previous) == (2, None, 1)

    @pytest.mark.parametrize("percent", [0, -1, 101, math.nan])
    def test_a_share_that_is_none_writes_nothing(
        self, es: Elasticsearch, prefix: str, where: str, percent: float
    ) -> None:
        put(es, scripted(prefix, 1), where)
        with pytest.raises(InputError, match="percent must be"):
            put(es, scripted(prefix, 2), where, canary_percent=percent)
        with pytest.raises(ConfigError):
            read_version(es, prefix, 2, index=where)


@pytest.fixture
def index(es: Elasticsearch, prefix: str) -> str:
    """300 items, some unscored, undated or AI-generated."""
    wanted = desired_state(prefix)
    apply_steps(es, plan_steps(wanted, read_live(es, wanted)))
    ensure_index(es, prefix)
    rng = np.random.default_rng(5)

    def item(i: int) -> dict[str, Any]:
        doc: dict[str, Any] = {
            "_index": prefix,
            "item_id": f"i{i:03d}",
            "title": " ".join(rng.choice(["red", "blue", "dress", "hat"], size=3)),
            "status": "on_sale",
            "category": str(rng.choice(["dress", "hat", "shoes"])),
            "price": float(rng.integers(100, 10_000)),
        }
        if rng.random() < 0.9:
            doc["image_score"] = float(rng.random())
        if rng.random() < 0.9:
            doc["created_at"] = NOW - int(rng.exponential(10 * DAY_MS))
        if rng.random() < 0.3:
            doc["ai_generated"] = {"probability": float(rng.random()), "source": "test"}
        return doc

    helpers.bulk(es, (item(i) for i in range(300)), refresh=True)
    return prefix


VARIANTS: dict[str, dict[str, Any]] = {
    "additive": {},
    "multiplicative": {"image": {"mode": "multiplicative", "weight": 0.7, "missing": 0.2}},
    "no image": {"image": {"mode": "none"}},
    "exp, undated": {"freshness": {"curve": "exp", "scale": "3d", "missing": 0.3}},
    "everything": {
        "image": {
            "mode": "additive",
            "weight": 2.5,
            "transform": {"type": "sigmoid"},
            "ai_generated": {"above": 0.5, "cap": 0.4},
        },
        "freshness": {"curve": "linear", "scale": "20d"},
        "factors": [
            {"type": "category", "weights": {"dress": 1.3, "hat": 0.7}},
            {"type": "numeric", "field": "price", "modifier": "log1p", "missing": 1, "max": 4},
            {"type": "rule", "field": "price", "gte": 500, "weight": 1.1},
        ],
        "platforms": {"ios": {"image": {"weight": 1.25}}},
    },
    "nested": {"execution": "function_score"},
}


class TestServed:
    @pytest.mark.parametrize("changes", VARIANTS.values(), ids=list(VARIANTS))
    def test_the_published_script_gives_the_bits_of_the_inline_body(
        self, es: Elasticsearch, index: str, where: str, changes: dict[str, Any]
    ) -> None:
        profile = scripted(index, **changes)
        put(es, profile, where)
        n = 0
        for platform in (None, "ios"):
            for text in ("red dress", "hat", "blue"):
                for shift in (0, 3 * DAY_MS + 1):
                    options: dict[str, Any] = {"now_ms": NOW + shift, "platform": platform, "size": 300}
                    inline = Searcher(es, index, profile).search(text, **options)
                    published = Searcher(es, index, profile, scripts="published").search(text, **options)
                    assert published.items == inline.items
                    n += len(published.items)
        assert n > 1_000

    def test_a_canary_records_its_arm_in_the_capture(
        self, es: Elasticsearch, index: str, where: str, tmp_path: Any
    ) -> None:
        put(es, scripted(index, 1), where)
        put(es, scripted(index, 2), where, canary_percent=50)
        records = []
        for user in ("a", "b", "c", "d", "e"):
            profile, arm = resolve(es, index, user, index=where)
            searcher = Searcher(es, index, profile, scripts="published")
            records.append(searcher.capture("dress", now_ms=NOW, user_id=user, arm=arm))
        write_captures(tmp_path, records, [scripted(index, w) for w in (1, 2)])
        read = {record.user_id: record for record in read_captures(tmp_path)}
        for record in records:
            assert read[record.user_id].arm == record.arm
            side = (record.arm or "").rpartition("/")[2]
            assert record.profile_hash == scripted(index, 2 if side == "canary" else 1).hash

    @pytest.mark.parametrize("stored", [False, True])
    def test_the_printed_body_is_accepted_as_it_is_over_http(
        self, es: Elasticsearch, index: str, where: str, tmp_path: Any, stored: bool
    ) -> None:
        profile = scripted(index, **VARIANTS["everything"])
        put(es, profile, where)
        path = tmp_path / "p.json"
        path.write_text(profile.model_dump_json())
        words = [
            "apply-boost",
            str(path),
            "--print-query",
            "red dress",
            "--at",
            str(NOW),
            "--platform",
            "ios",
        ]
        printed = CliRunner().invoke(full_app(), [*words, *(["--stored"] if stored else [])])
        assert printed.exit_code == 0
        request = urllib.request.Request(
            f"{get_settings().endpoint('Elasticsearch')}/{index}/_search",
            data=printed.stdout.encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            hits = json.load(answer)["hits"]["hits"]
        page = Searcher(es, index, profile).search("red dress", now_ms=NOW, platform="ios")
        assert [(h["fields"]["item_id"][0], np.float32(h["_score"])) for h in hits] == [
            (item.item_id, np.float32(item.score or 0)) for item in page.items
        ]

    def test_the_document_holds_a_body_that_any_service_can_fill(
        self, es: Elasticsearch, index: str, where: str
    ) -> None:
        profile = scripted(index, **VARIANTS["everything"])
        put(es, profile, where)
        document = es.get(index=where, id=index)["_source"]
        for platform, key in ((None, "default"), ("ios", "ios")):
            for text in ("red dress", '"}}{"', "${now_ms}"):
                found = es.search(index=index, **fill_body(document["bodies"][key], text, NOW))["hits"][
                    "hits"
                ]
                page = Searcher(es, index, profile).search(text, now_ms=NOW, platform=platform)
                assert [hit["fields"]["item_id"][0] for hit in found] == [i.item_id for i in page.items]


class StopsAfter:
    """A client whose writes are refused after some."""

    def __init__(self, es: Elasticsearch, allowed: int) -> None:
        self._es, self._left = es, allowed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._es, name)
        if name not in ("index", "put_script"):
            return found

        def write(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise ApiError("no", mock.Mock(status=503), {"error": {"reason": "stopped on purpose"}})
            return found(*args, **kwargs)

        return write


class Twice:
    """A client that sends each write twice and hears the second answer, as after a lost connection."""

    def __init__(self, es: Elasticsearch) -> None:
        self._es = es

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._es, name)
        if name != "index":
            return found

        def write(*args: Any, **kwargs: Any) -> Any:
            found(*args, **kwargs)
            return found(*args, **kwargs)

        return write
