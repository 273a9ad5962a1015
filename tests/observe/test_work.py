"""What a request took, as it is told: stages that add up, and never a whole prompt."""

from __future__ import annotations

from flashweb.observe.work import STAGES, Work, current_work, open_work, opening_of
from flashweb.types import EngineTimes, FinishReason, PictureTimes


def test_the_stages_behind_the_pictures_follow_each_other_and_add_up() -> None:
    work = Work(began=10.0)
    work.pictures = PictureTimes(fetches=[("ok", 0.5), ("failed", 0.25)], decodes=[0.01, 0.02], preparations=[0.04])
    work.has_begun(12.0, EngineTimes(queue=0.3, prefill=0.5, encode=0.2))
    work.has_begun(12.5, EngineTimes(queue=9.0, prefill=9.0, encode=9.0))  # another choice, later
    work.has_ended(13.0, FinishReason.STOP)
    work.has_ended(14.0, FinishReason.LENGTH)
    found = work.timings_ms(until=14.5)
    assert list(found) == [*STAGES, "total"]
    assert list(found.values()) == [750, 30, 40, 300, 200, 300, 2000, 4500]


def test_what_was_not_done_took_no_time_and_is_in_no_header() -> None:
    work = Work(began=10.0)
    assert set(work.timings_ms(until=10.0).values()) == {0}
    work.has_begun(10.5, None)  # an engine that tells nothing
    header = work.server_timing()
    assert header.startswith("total;dur=") and "," not in header
    work.has_ended(10.75, FinishReason.STOP)
    assert work.server_timing().startswith("decode_tokens;dur=250, total;dur=")


def test_an_opening_is_never_the_whole_prompt() -> None:
    for text in ("", "a", "ab", "secret", "x" * 1000):
        opening = opening_of([text], 32)
        assert text.startswith(opening) and len(opening) <= min(32, len(text) // 2)
    assert opening_of(["one", "two"], 5) == "one"
    assert opening_of(["x" * 100], 0) == ""


def test_many_pictures_hashes_are_cut() -> None:
    work = Work(pictures=PictureTimes(hashes=["a", "b", "c", "d", "e", "f"]))
    assert work.image_hash == "a,b,c,d+2"
    assert Work().image_hash is None


def test_each_request_finds_its_own_work() -> None:
    with open_work() as outer:
        assert current_work() is outer
        with open_work() as inner:
            assert current_work() is inner
        assert current_work() is outer
    assert current_work() is not current_work()
