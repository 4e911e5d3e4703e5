"""Sorting numbers instead of lexsort: the same order, whatever the scores are."""

from __future__ import annotations

import numpy as np
import pytest

from replay.order import chunks, each_chunk, order_chunk, sort_keys, top_chunk

SPECIAL = np.array([0, -0.0, 1, 1, 2, -1, np.nan, 1e-45, -1e-45, np.inf, 3.4e38], dtype=np.float32)


def random_run(rng: np.random.Generator, kind: str) -> tuple[np.ndarray, ...]:
    n = int(rng.integers(1, 30))
    sizes = np.full(n, int(rng.integers(1, 20))) if kind == "even" else rng.integers(0, 12, n)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    total = int(offsets[-1])
    scores = rng.choice(SPECIAL, total) if rng.random() < 0.6 else rng.random(total, dtype=np.float32)
    eligible = rng.random(total) < 0.8
    code = rng.permutation(total).astype(np.int64)
    return sizes, offsets, scores, eligible, code


@pytest.mark.parametrize("kind", ["even", "uneven"])
@pytest.mark.parametrize("seed", range(40))
def test_order_is_that_of_lexsort(kind: str, seed: int) -> None:
    sizes, offsets, scores, eligible, code = random_run(np.random.default_rng(seed), kind)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    wanted = np.lexsort((code, -scores, ~eligible, owner))
    order, place = order_chunk(sort_keys(scores, eligible), offsets, lambda p: code[p])
    np.testing.assert_array_equal(order, wanted)
    np.testing.assert_array_equal(place, np.arange(len(order)) - offsets[owner] + 1)
    for k in (1, 3, 50):
        top, n_shown = top_chunk(sort_keys(scores, eligible), offsets, lambda p: code[p], k)
        expected = [
            p for i in range(len(sizes)) for p in wanted[offsets[i] : offsets[i + 1]][:k] if eligible[p]
        ]
        assert top.tolist() == expected
        assert n_shown.tolist() == [
            min(k, int(eligible[offsets[i] : offsets[i + 1]].sum())) for i in range(len(sizes))
        ]


def test_ids_are_looked_at_only_where_scores_tie_within_the_places_that_count() -> None:
    scores = np.array([3, 2, 2, 1, 1], dtype=np.float32)
    asked: list[list[int]] = []

    def codes(positions: np.ndarray) -> np.ndarray:
        asked.append(sorted(positions.tolist()))
        return np.array([9, 8, 7, 6, 5])[positions]

    offsets = np.array([0, 5])
    order, _ = order_chunk(sort_keys(scores, None), offsets, codes, np.array([1]))
    assert (order.tolist(), asked) == ([0, 1, 2, 3, 4], [])
    order, _ = order_chunk(sort_keys(scores, None), offsets, codes, np.array([2]))
    assert (order.tolist(), asked) == ([0, 2, 1, 3, 4], [[1, 2]])
    top, _ = top_chunk(sort_keys(scores, None), offsets, codes, 2)  # a tie across the last place
    assert (top.tolist(), asked[-1]) == ([0, 2], [1, 2])


def test_equal_scores_of_neighbouring_searches_are_no_tie() -> None:
    order, _ = order_chunk(
        sort_keys(np.array([1, 1], dtype=np.float32), None), np.array([0, 1, 2]), lambda p: -p
    )
    assert order.tolist() == [0, 1]


@pytest.mark.parametrize("sizes", [[3] * 10, [1, 100, 1, 1, 50, 0, 0, 7], [0, 0], [1000]])
def test_chunks_cover_every_search_once_and_stay_small(sizes: list[int]) -> None:
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    runs = list(chunks(offsets, cells=60))
    assert [i for start, stop in runs for i in range(start, stop)] == list(range(len(sizes)))
    for start, stop in runs:
        assert (
            stop - start == 1 or max(sizes[start:stop]) * (stop - start) <= 60 or max(sizes[start:stop]) == 0
        )


def test_an_error_in_a_thread_is_raised() -> None:
    def work(start: int, stop: int) -> None:
        raise ValueError(f"run {start}")

    with pytest.raises(ValueError, match="run 0"):
        each_chunk(work, np.arange(3) * 40_000, threads=2)
