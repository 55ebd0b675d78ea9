"""Whether two titles can tell the same story: figures, names, opposites and modes that do not go together.

Belongs here: hard differences of two tellings, each of which two stories of the same words may have. How alike two are
is core/news/alike.
"""

from collections.abc import Mapping

from timegpt_assets.core.news import kinds
from timegpt_assets.core.news.figures import Figure, same
from timegpt_assets.core.news.telling import Telling

Figures = Mapping[str, frozenset[Figure]]
RARE = 1000.0
"""Whole numbers below it are told of many things."""
LEFT = 3
"""Words that must be left of a title that was cut off."""


def contradict(one: Telling, other: Telling) -> bool:
    """Return whether two titles cannot tell the same.

    One that is cut off tells what it is the beginning of. Others do not where names may be meant of which each has one
    that the other has not, and where they contradict surely.
    """
    if one.cut or other.cut:
        return _cut_elsewhere(one, other)
    return _strangers(one.names, other.names, one, other) or surely(one, other)


def surely(one: Telling, other: Telling) -> bool:
    """Return whether two titles tell different things, however much of them is missing.

    Modes differ, unless one is cut off. Each has a figure of one kind, a name, or a topic that the other has not. Of
    two opposites one title says the one, or says it first, and the other the other. Of a relation doer and done-to are
    exchanged. Shares move in one, and nothing in the other. Their sources name tickers, none in common.
    """
    whole = not (one.cut or other.cut)
    return (
        (whole and one.modes != other.modes)
        or bool(one.topics - other.topics and other.topics - one.topics)
        or _differ(one.figures, other.figures)
        or any(_opposed(word, one, other) for word in one.marks)
        or {one.doers[key] for key in one.doers.keys() & other.doers.keys() if one.doers[key] != other.doers[key]}
        == {True, False}
        or (whole and _shares_move(one) != _shares_move(other) and not (_moves(one) and _moves(other)))
        or bool(one.tickers and other.tickers and one.tickers.isdisjoint(other.tickers))
        or _strangers(one.sure, other.sure, one, other)
    )


def apart(some: Figures, others: Figures) -> bool:
    """Return whether of a kind of figure that both have they have none in common."""
    return any(
        not any(same(one, other) for one in some[kind] for other in others[kind])
        for kind in some.keys() & others.keys()
    )


def vouched(one: Telling, other: Telling) -> bool:
    """Return whether two titles that do not contradict need be less alike: one is how the other begins, or both share a
    name and a figure that is told of few things, which no whole number below 1,000 is.
    """
    return one.cut or other.cut or (not one.names.isdisjoint(other.names) and _share_a_rare_figure(one, other))


def _share_a_rare_figure(one: Telling, other: Telling) -> bool:
    return any(
        same(figure, another) and (kind != "n" or figure[0] >= RARE or figure[0] % 1 > 0)
        for kind in ("%", "bp", "n")
        for figure in one.figures.get(kind, ())
        for another in other.figures.get(kind, ())
    )


def _cut_elsewhere(one: Telling, other: Telling) -> bool:
    shorter, longer = sorted((one, other), key=lambda telling: len(telling.spoken))
    left = len(shorter.spoken)
    return not shorter.cut or left < LEFT or longer.spoken[:left] != shorter.spoken


def _differ(some: Figures, others: Figures) -> bool:
    return any(
        _left_over(some[kind], others[kind]) and _left_over(others[kind], some[kind])
        for kind in some.keys() & others.keys()
    )


def _left_over(figures: frozenset[Figure], others: frozenset[Figure]) -> bool:
    return any(not any(same(figure, other) for other in others) for figure in figures)


def _opposed(word: str, one: Telling, other: Telling) -> bool:
    return any(
        _place(word, one) < _place(against, one) and _place(against, other) < _place(word, other)
        for against in kinds.opposites()[word].intersection(other.marks)
    )


def _place(word: str, telling: Telling) -> int:
    return telling.marks.index(word) if word in telling.marks else len(telling.marks)


def _moves(telling: Telling) -> bool:
    return "rise" in telling.marks or "fall" in telling.marks


def _shares_move(telling: Telling) -> bool:
    return "share" in telling.topics and _moves(telling)


def _strangers(ours: frozenset[str], theirs: frozenset[str], one: Telling, other: Telling) -> bool:
    """Return whether each has a name that is no word of the other's; the home country is one only beside another."""
    left, right = ours.difference(other.words), theirs.difference(one.words)
    if not (left & kinds.NATIONS and right & kinds.NATIONS):
        left, right = left - kinds.HOME, right - kinds.HOME
    return any(not _like_any(name, right) for name in left) and any(not _like_any(name, left) for name in right)


def _like_any(name: str, others: frozenset[str]) -> bool:
    """Return whether a name begins as another does: one cut short, an adjective, another ending."""
    return len(name) >= 4 and any(other[:4] == name[:4] for other in others)
