"""Where names stand in a text: all of them in one pass, whole words alone, the longest first.

Belongs here: pyahocorasick's one door. Whether a name that stands there is meant is link.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timegpt_assets.core.news.directory import Alias
from timegpt_assets.core.news.words import Word


@dataclass(frozen=True, slots=True)
class Spot:
    """Words ``first`` up to ``end`` are a name of each of ``aliases``."""

    first: int
    end: int
    aliases: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class Spotter:
    """Finds patterns in texts; ``automaton`` holds each between blanks, so that no part of a word is one."""

    automaton: Any

    def spots(self, words: tuple[Word, ...]) -> list[Spot]:
        """Return the names in a text from left to right; of two that share a word the longer one, else the first."""
        starts, at = {}, 0
        for nth, word in enumerate(words):
            starts[at] = nth
            at += len(word.folded) + 1
        text = f" {' '.join(word.folded for word in words)} "
        found = []
        for last, (size, length, aliases) in self.automaton.iter(text) if len(self.automaton) else ():
            first = starts[last - size + 1]
            found.append(Spot(first, first + length, aliases))
        taken: set[int] = set()
        kept = []
        for spot in sorted(found, key=lambda spot: (spot.first - spot.end, spot.first)):
            if taken.isdisjoint(range(spot.first, spot.end)):
                taken.update(range(spot.first, spot.end))
                kept.append(spot)
        return sorted(kept, key=lambda spot: spot.first)


def spotter(patterns: Mapping[str, tuple[Alias, ...]]) -> Spotter:
    """Return what finds these patterns, folded words joined by blanks."""
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for pattern, aliases in patterns.items():
        automaton.add_word(f" {pattern} ", (len(pattern) + 2, pattern.count(" ") + 1, aliases))
    automaton.make_automaton()
    return Spotter(automaton)
