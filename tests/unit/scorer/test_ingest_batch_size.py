"""How many messages are taken at a time."""

from scorer.ingest.batch_size import BatchSize


def test_full_batches_that_are_soon_done_double_it_up_to_the_most():
    size = BatchSize(64, 500)
    seen = []
    for _ in range(5):
        size.done(size.now, 1000, 0.1)
        seen.append(size.now)
    assert seen == [128, 256, 500, 500, 500]


def test_a_late_batch_halves_it_down_to_the_least():
    size = BatchSize(64, 500)
    size.now = 500
    seen = []
    for _ in range(4):
        size.done(size.now, 1000, 1.5)
        seen.append(size.now)
    assert seen == [250, 125, 64, 64]


def test_a_batch_that_was_not_full_says_nothing():
    size = BatchSize(64, 500)
    size.now = 256
    size.done(255, 1000, 0.01)
    size.done(128, 1000, 9.0)
    assert size.now == 256


def test_it_stays_where_a_batch_takes_about_half_a_second():
    size = BatchSize(64, 500)
    size.done(64, 1000, 0.5)
    assert size.now == 64


def test_messages_that_carry_their_photos_are_not_taken_by_the_hundred():
    size = BatchSize(64, 500)
    size.done(64, 5_000_000, 0.1)  # twice as many would be more than 8 MB
    assert size.now == 64
    size.now = 256
    size.done(256, 20_000_000, 0.1)
    assert size.now == 128


def test_a_least_above_the_most_is_kept():
    size = BatchSize(1000, 500)
    size.done(1000, 1000, 0.1)
    assert size.now == 1000
