"""Answers are kept as long as they may be and no more of them than may be; one asks for all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.serving.tsfm.cache import Answers


def answers(clock: list[float], *, ttl_s: float = 60, entries: int = 10, keeps: Callable[[int], bool] = lambda n: True):
    return Answers[int](ttl_s=ttl_s, entries=entries, monotonic=lambda: clock[0], keeps=keeps)


def making(value: int, made: list[int], error: Exception | None = None) -> Callable[[], Awaitable[int]]:
    async def make() -> int:
        made.append(value)
        await asyncio.sleep(0)
        if error:
            raise error
        return value

    return make


def test_kept_until_its_time_is_over() -> None:
    async def run() -> None:
        clock, made = [0.0], list[int]()
        kept = answers(clock)
        for at, shared in ((0.0, False), (59.9, True), (60.0, False)):
            clock[0] = at
            assert await kept.get("a", making(1, made)) == (1, shared)

    asyncio.run(run())


def test_nothing_is_kept_where_nothing_may_be() -> None:
    async def run() -> None:
        made = list[int]()
        none, odd = answers([0.0], ttl_s=0), answers([0.0], keeps=lambda n: n % 2 == 0)
        for _ in range(2):
            await none.get("a", making(1, made))
            await odd.get("a", making(1, made))
            await odd.get("b", making(2, made))
        assert (made.count(1), made.count(2), len(none), len(odd)) == (4, 1, 0, 1)

    asyncio.run(run())


def test_an_error_reaches_all_who_waited_and_nobody_after_them() -> None:
    async def run() -> None:
        made, kept = list[int](), answers([0.0])
        waiting = [kept.get("a", making(1, made, ValueError("no"))) for _ in range(5)]
        assert {str(one) for one in await asyncio.gather(*waiting, return_exceptions=True)} == {"no"}
        assert made == [1]
        assert await kept.get("a", making(2, made)) == (2, False)

    asyncio.run(run())


@pytest.mark.parametrize("leaving", [(0,), (1,), (0, 1), (2,)])
def test_whoever_is_cancelled_takes_nobody_along(leaving: tuple[int, ...]) -> None:
    async def run() -> None:
        made, kept, go = list[int](), answers([0.0]), asyncio.Event()

        async def make() -> int:
            made.append(1)
            await go.wait()
            return 1

        waiting = [asyncio.ensure_future(kept.get("a", make)) for _ in range(3)]
        await asyncio.sleep(0)
        for place in leaving:
            waiting[place].cancel()
        await asyncio.sleep(0)
        go.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in found] == [n in leaving for n in range(3)]
        assert (made, await kept.get("a", make)) == ([1], (1, True))

    asyncio.run(run())


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 40)), max_size=60))
def test_never_more_than_may_be_and_never_older(steps: list[tuple[int, float]]) -> None:
    async def run() -> None:
        clock, kept, last = [0.0], answers([0.0]), dict[str, float]()
        kept = answers(clock, entries=4)
        for key, later in steps:
            clock[0] += later
            name = str(key)
            _, shared = await kept.get(name, making(key, []))
            if shared:
                assert clock[0] - last[name] < 60
            else:
                last[name] = clock[0]
            assert len(kept) <= 4

    asyncio.run(run())


def test_the_newest_are_kept() -> None:
    async def run() -> None:
        made, kept = list[int](), answers([0.0], entries=2)
        for key in (1, 2, 3):
            await kept.get(str(key), making(key, made))
        assert [(await kept.get(str(key), making(key, made)))[1] for key in (3, 2, 1)] == [True, True, False]

    asyncio.run(run())


@pytest.mark.filterwarnings("error")
def test_an_error_that_nobody_waited_for_is_no_warning() -> None:
    async def run() -> None:
        kept, made = answers([0.0]), list[int]()
        left = asyncio.ensure_future(kept.get("a", making(1, made, ValueError("no"))))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0.01)
        assert made == [1]

    asyncio.run(run())
