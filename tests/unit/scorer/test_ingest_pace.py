"""How much is written at a time, against a server that takes so much and no more."""

import threading

import pytest

from scorer.ingest.pace import Pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_it_begins_at_the_most_and_a_push_back_halves_both():
    told = []
    pace = Pace(8, 512, on_change=lambda requests, docs: told.append((requests, docs)))
    with pace.request() as began:
        pace.pushed_back(began, 512)
    assert (pace.requests, pace.docs) == (4, 256)
    assert told == [(4.0, 256.0)]


def test_one_storm_is_one_cut_for_all_requests_that_were_under_way():
    clock = Clock()
    pace = Pace(8, 512, clock=clock)
    clock.now = 1.0
    with pace.request() as one, pace.request() as other, pace.request() as third:
        clock.now = 2.0
        for began in (one, other, third):
            pace.pushed_back(began, 512)
    assert pace.requests == 4
    with pace.request() as later:
        pace.pushed_back(later, 200)
    assert (pace.requests, pace.docs) == (2, 100)  # half of what it held


def test_a_full_round_of_good_answers_adds_about_one_request():
    pace = Pace(8, 160)
    for _ in range(3):
        with pace.request() as began:
            pace.pushed_back(began, 160)
    assert (pace.requests, pace.docs) == (1, 20)
    pace.taken()  # 1 + 1/1
    assert (pace.requests, pace.docs) == (2, 30)  # 20 + 160/16
    pace.taken()  # 2 + 1/2
    pace.taken()  # 2.5 + 1/2.5
    assert pace.requests == 2
    pace.taken()  # 2.9 + 1/2.9
    assert pace.requests == 3


def test_it_never_falls_below_one_request_of_sixteen():
    pace = Pace(4, 512)
    for _ in range(20):
        with pace.request() as began:
            pace.pushed_back(began, pace.docs)
    assert (pace.requests, pace.docs) == (1, 16)
    small = Pace(4, 5)
    with small.request() as began:
        small.pushed_back(began, 5)
    assert small.docs == 5


def test_no_more_requests_are_under_way_than_are_let_through():
    pace = Pace(2, 10)
    under_way, most = 0, 0
    lock = threading.Lock()

    def send():
        nonlocal under_way, most
        with pace.request():
            with lock:
                under_way += 1
                most = max(most, under_way)
            threading.Event().wait(0.01)
            with lock:
                under_way -= 1

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_against_a_server_that_takes_64_documents_a_round_it_settles_near_that():
    """A scripted server: what is sent in one round beyond its room is pushed back."""
    room, clock, sent = 64, Clock(), []
    pace = Pace(4, 256, clock=clock)
    for _ in range(200):
        clock.now += 1
        offered = [pace.docs] * pace.requests
        taken = 0
        starts = []
        for docs in offered:
            with pace.request() as began:
                starts.append((began, docs))
        clock.now += 0.5
        for began, docs in starts:
            if taken + docs <= room:
                taken += docs
                pace.taken()
            else:
                pace.pushed_back(began, docs)
        sent.append(taken)
    settled = sent[50:]
    assert 0.4 * room < sum(settled) / len(settled) <= room  # AIMD's saw lies between half and the whole
    assert min(settled[i] + settled[i + 1] for i in range(len(settled) - 1)) > 0  # and never stands still


@pytest.mark.parametrize("wrong", [(0, 10), (1, 0)])
def test_a_pace_that_lets_nothing_through_is_refused(wrong):
    with pytest.raises(ValueError, match="must be >= 1"):
        Pace(*wrong)
