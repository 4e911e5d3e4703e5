from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from marketplace import generate
from marketplace.queries import DEFAULT_LENGTHS, make_queries, read_lengths
from ranking.errors import InputError

NOW_MS = 1_760_000_000_000


REAL = Path(__file__).parents[4] / "shared" / "queries" / "wands_queries.tsv"


def lengths(queries):
    counts = Counter(len(query.text.split()) for query in queries)
    return {n: c / len(queries) for n, c in counts.items()}


def total_variation(p, q):
    return 0.5 * sum(abs(p.get(n, 0) - q.get(n, 0)) for n in set(p) | set(q))


def test_default_lengths_are_followed(town):
    assert total_variation(lengths(town.queries), DEFAULT_LENGTHS) < 0.03


def test_lengths_of_a_given_file_are_followed(town, tmp_path):
    path = tmp_path / "queries.tsv"
    shapes = [
        "one",
        "two words",
        "two more",
        "three words here",
        'a 3" wide shelf',
        "six words are folded into five",
    ]
    path.write_text(
        "query_id\tquery\tquery_class\n" + "".join(f"{i}\t{q}\tx\n" for i, q in enumerate(shapes))
    )
    assert read_lengths(path) == {1: 1 / 6, 2: 2 / 6, 3: 1 / 6, 4: 1 / 6, 5: 1 / 6}
    made = generate(600, 120, seed=7, now_ms=NOW_MS, photo_dir=None, queries_file=path)
    assert lengths(made.queries) == {1: 20 / 120, 2: 40 / 120, 3: 20 / 120, 4: 20 / 120, 5: 20 / 120}


def test_lengths_of_the_real_queries_are_followed():
    if not REAL.exists():
        pytest.skip("the real queries are not at hand")
    made = generate(600, 120, seed=7, now_ms=NOW_MS, photo_dir=None, queries_file=REAL)
    words = [len(line.split("\t")[1].split()) for line in REAL.read_text().splitlines()[1:] if "\t" in line]
    real = {n: c / len(words) for n, c in Counter(words).items()}  # as they are, nothing folded
    assert total_variation(lengths(made.queries), real) < 0.1


def test_texts_and_ids_are_distinct_and_weights_are_zipfs(town):
    assert len({q.text for q in town.queries}) == len({q.query_id for q in town.queries}) == 120
    weights = np.array([q.weight for q in town.queries])
    assert weights.sum() == pytest.approx(1.0)
    assert np.all(np.diff(weights) < 0)
    assert weights[0] / weights[9] == pytest.approx(10**0.9)


def test_head_queries_are_shorter_than_tail_queries(town):
    words = [len(q.text.split()) for q in town.queries]
    assert np.mean(words[:30]) + 0.5 < np.mean(words[-30:])


def test_eight_percent_are_misspelled_and_none_in_the_head(town):
    slips = [q for q in town.queries if q.misspelled]
    assert len(slips) == round(0.08 * 120)
    assert not any(q.misspelled for q in town.queries[:12])
    for q in slips:
        wanted = {w.lower() for w in (q.intent.colour, q.intent.brand) if w} & set(q.text.split())
        assert q.text.strip() == q.text
        assert len(wanted) <= 2


def test_a_misspelled_query_differs_from_its_clean_twin_by_one_slip(town):
    clean = make_queries(town.items, 120, _NoSlips(7))
    slipped = make_queries(town.items, 120, np.random.default_rng(7))
    assert not any(q.misspelled for q in clean)
    changed = [(a.text, b.text) for a, b in zip(clean, slipped, strict=True) if a.text != b.text]
    assert 5 <= len(changed) <= 10
    for right, wrong in changed:
        assert sum(x != y for x, y in zip(right.split(), wrong.split(), strict=True)) == 1
        assert abs(len(right) - len(wrong)) <= 1


class _NoSlips(np.random.Generator):
    """A generator that chooses no query to misspell, and draws everything else alike."""

    def __init__(self, seed):
        super().__init__(np.random.PCG64(seed))

    def permutation(self, x, axis=0):
        drawn = super().permutation(x, axis)
        return drawn[:0] if isinstance(x, int) and x == 120 - 12 else drawn


def test_something_in_the_marketplace_fits_every_query(town):
    for q in town.queries:
        wishes = {k: v for k in ("category", "colour", "brand", "condition") if (v := getattr(q.intent, k))}
        assert wishes
        assert any(all(getattr(i, k) == v for k, v in wishes.items()) for i in town.items)


def test_stated_wishes_stand_in_the_text(town):
    for q in town.queries:
        if not q.misspelled:
            for wish in (q.intent.colour, q.intent.brand, q.intent.condition):
                assert wish is None or wish.lower() in q.text


def test_more_queries_than_words_allow_is_one_sentence(town):
    with pytest.raises(InputError, match="distinct queries can be made"):
        make_queries(town.items[:1], 3000, np.random.default_rng(1), lengths={1: 1.0})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("id\ttext\n1\tred shoes\n", "no column named 'query'"),
        ("", "no column named 'query'"),
        ("query_id\tquery\n", "holds no query"),
        (b"query_id\tquery\n1\t\xff\xfe\n", "cannot be read"),
    ],
)
def test_a_broken_queries_file_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "queries.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=sentence):
        read_lengths(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_lengths(tmp_path / "absent.tsv")


def test_every_query_is_searched_and_head_queries_more_often(town):
    visits = town.searches(2000, np.random.default_rng(1))
    counts = Counter(v.query.query_id for v in visits)
    assert len(visits) == len({v.search_id for v in visits}) == 2000
    assert set(counts) == {q.query_id for q in town.queries}
    expected = 1 + (2000 - 120) * town.queries[0].weight
    assert counts["q001"] == pytest.approx(expected, abs=3 * np.sqrt(expected))
    assert sum(counts[q.query_id] for q in town.queries[:12]) > 0.4 * 2000
    assert len(town.searches(5, np.random.default_rng(1))) == 5


def test_searches_happen_in_the_last_three_days_when_every_item_exists(town):
    visits = town.searches(500, np.random.default_rng(2))
    times = [v.now_ms for v in visits]
    assert times == sorted(times)
    assert max(item.created_ms for item in town.items) < times[0]
    assert times[-1] <= NOW_MS
    assert times[-1] - times[0] > 2 * 86_400_000


def test_a_session_has_one_user_and_a_user_one_platform(town):
    visits = town.searches(800, np.random.default_rng(3))
    for key, value in (("session_id", "user_id"), ("user_id", "platform")):
        held = {}
        for v in visits:
            held.setdefault(getattr(v, key), set()).add(getattr(v, value))
        assert all(len(values) == 1 for values in held.values())
    assert {v.platform for v in visits} == {"web", "ios", "android"}
    assert town.searches(800, np.random.default_rng(3)) == visits
