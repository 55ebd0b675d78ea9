"""Which tellings are alike: candidates by rare words in common, then rapidfuzz on the candidates alone.

Belongs here: the likeness of two tellings, and finding the pairs that are alike in time that grows with the number of
tellings. It is the door of rapidfuzz.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from timegpt_assets.core.news import kinds, wording
from timegpt_assets.core.news.contradiction import vouched
from timegpt_assets.core.news.telling import Telling

Ints = npt.NDArray[np.int64]
Pair = tuple[int, int, float]
RAREST = 8
"""Words of a telling that it is found by: each two of them are a key."""
BACK = 24
"""Tellings back that one is compared with under a key: what keeps the time linear on a day of one topic."""
SHARED = 3
"""Words among the rarest that two tellings share, at least; all, where one has fewer."""
ALLOWED = 15.0
"""How much less alike, of 100, two may be that are vouched for otherwise."""


def alike(tellings: Sequence[Telling], similarity: float) -> list[Pair]:
    """Return (earlier, later, likeness) of the positions of tellings that are alike, sorted.

    ``tellings`` stand in the order in which they were first told. Whether two are a pair depends on nothing that comes
    after the later of them.
    """
    earlier, later = _candidates(tellings)
    texts = np.array([" ".join(telling.words) for telling in tellings], dtype=object)
    likeness = _likeness(texts[earlier].tolist(), texts[later].tolist())
    near = np.flatnonzero(likeness >= similarity - ALLOWED)
    pairs = zip(earlier[near].tolist(), later[near].tolist(), likeness[near].tolist(), strict=True)
    return [pair for pair in pairs if pair[2] >= similarity or vouched(tellings[pair[0]], tellings[pair[1]])]


def _likeness(some: Sequence[str], others: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return how alike texts are, pair by pair, 0 to 100: the mean of two ways to see it.

    How much of the shorter is in the longer (token_set_ratio), and how much both have in common (token_sort_ratio).
    """
    from rapidfuzz import fuzz, process

    both = (fuzz.token_set_ratio, fuzz.token_sort_ratio)
    found: npt.NDArray[np.float64] = np.mean(
        [process.cpdist(some, others, scorer=scorer, dtype=np.float64) for scorer in both], axis=0
    )
    return found


def _candidates(tellings: Sequence[Telling]) -> tuple[Ints, Ints]:
    """Return the positions of the earlier and the later of each pair that shares enough of its rarest words."""
    keys, places, sizes = _keys(tellings)
    order = np.lexsort((places, keys))
    keys, places = keys[order], places[order]
    codes = [np.empty(0, dtype=np.int64)]
    for back in range(1, BACK + 1):
        same = np.flatnonzero(keys[back:] == keys[:-back])
        codes.append(places[same + back] * len(tellings) + places[same])
    pairs, shared = np.unique(np.concatenate(codes), return_counts=True)
    later, earlier = np.divmod(pairs, max(len(tellings), 1))
    words = np.minimum(np.minimum(sizes[earlier], sizes[later]), SHARED)
    enough = shared >= words * (words - 1) // 2
    return earlier[enough], later[enough]


def _keys(tellings: Sequence[Telling]) -> tuple[Ints, Ints, Ints]:
    """Return each key with the position of its telling, and of each telling how many words its keys are made of."""
    numbers: dict[str, int] = {}
    keys: list[int] = []
    counts, sizes = [], []
    for telling in tellings:
        rarest = sorted(telling.words, key=_commonness)[:RAREST]
        found = sorted(numbers.setdefault(word, len(numbers)) for word in rarest)
        made = [one << 32 | other for one, other in combinations(found, 2)]
        keys += made
        counts.append(len(made))
        sizes.append(len(rarest))
    places = np.repeat(np.arange(len(tellings), dtype=np.int64), counts)
    return np.array(keys, dtype=np.int64), places, np.array(sizes, dtype=np.int64)


def _commonness(word: str) -> int:
    """Return 0 for names and figures, 1 for plain words, 2 for what many words say."""
    return 2 if word in wording.SAME else int(word in kinds.PLAIN)
