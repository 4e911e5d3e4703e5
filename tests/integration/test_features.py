"""What the cluster can do, asked of the running server and held against the requests themselves."""

from __future__ import annotations

import pytest
from elasticsearch import ApiError, BadRequestError, Elasticsearch

from ranking import features
from ranking.features import find_features

pytestmark = pytest.mark.engines


def test_what_is_found_is_what_the_server_takes(es: Elasticsearch) -> None:
    found = find_features(es, refresh=True)
    assert es.info()["version"]["number"] == found.version
    assert found.distribution == "elasticsearch"
    for there, ask in (
        (found.mustache, lambda: es.render_search_template(source='{"a": 1}')),
        (
            found.script_rescorer,
            lambda: es.search(
                index="rank-no-such-*",
                body={"rescore": {"window_size": 1, "script": {"script": {"source": "2.0"}}}},
            ),
        ),
    ):
        if there:
            ask()
        else:
            with pytest.raises(BadRequestError):
                ask()


def test_a_second_question_asks_the_server_only_who_it_is(es: Elasticsearch, monkeypatch) -> None:
    first = find_features(es)
    monkeypatch.setattr(features, "_ask", lambda *_: pytest.fail("asked again"))
    assert find_features(es) is first


def test_a_key_that_may_not_list_nodes_gets_the_same_answers(es: Elasticsearch, monkeypatch) -> None:
    from_nodes = find_features(es, refresh=True)

    def forbidden(*_args, **_options):
        raise ApiError("security_exception", meta=type("Meta", (), {"status": 403})(), body={})

    monkeypatch.setattr(type(es.nodes), "info", forbidden)
    by_request = find_features(es, refresh=True)
    monkeypatch.undo()
    find_features(es, refresh=True)
    assert by_request.nodes is None
    assert by_request.rank_boost == from_nodes.rank_boost
    assert by_request.mustache == from_nodes.mustache
    assert by_request.mapper_extras == from_nodes.mapper_extras
    assert by_request.rank_eval == from_nodes.rank_eval
    assert by_request.script_rescorer == from_nodes.script_rescorer
