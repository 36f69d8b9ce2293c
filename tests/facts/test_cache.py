from __future__ import annotations

from hirules.facts.cache import LONGEST, Cache


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_kept_for_its_time() -> None:
    clock = Clock()
    cache: Cache[int] = Cache(5, 10, clock)
    cache.put("k", 1)
    clock.now = 4.9
    assert cache.get("k") == 1
    clock.now = 5.0
    assert cache.get("k") is None


def test_never_longer_than_thirty_seconds() -> None:
    clock = Clock()
    cache: Cache[int] = Cache(3600, 10, clock)
    cache.put("k", 1)
    clock.now = LONGEST
    assert cache.get("k") is None


def test_the_longest_unused_goes_first() -> None:
    cache: Cache[int] = Cache(5, 2, Clock())
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_nothing_is_kept_where_that_is_asked() -> None:
    for cache in (Cache[int](0, 10, Clock()), Cache[int](5, 0, Clock())):
        cache.put("a", 1)
        assert cache.get("a") is None


def test_what_was_asked_before_it_was_emptied_is_not_kept() -> None:
    cache: Cache[str] = Cache(10, 10)
    cache.put("a", "1")
    age = cache.age
    cache.clear()
    assert cache.get("a") is None
    cache.put("a", "1", age)
    assert cache.get("a") is None
    cache.put("a", "2", cache.age)
    assert cache.get("a") == "2"
