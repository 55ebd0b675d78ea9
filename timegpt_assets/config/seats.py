"""Who may be seated beside the champion: the forecasters shipped, the ladder, and what installed packages offer.

Belongs here: who answers to a word, and whose code that is.
"""

from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from timegpt_assets.config.close_names import did_you_mean
from timegpt_assets.core.forecasts.local.seats import LIBRARIES, SHIPPED
from timegpt_assets.core.tables.columns import CONTROL, HOSTED, LADDER

OURS = (*SHIPPED, *LADDER)
"""Words that no package may take."""
GROUP = "timegpt_assets.forecasters"
"""Entry points by which a package offers forecasters: the name is the word, the object makes the forecaster."""


def offered() -> dict[str, tuple[str, ...]]:
    """Return the words of installed packages' forecasters with the packages that offer them, ours left out."""
    found: dict[str, list[str]] = {}
    for point in entry_points(group=GROUP):
        if point.name not in OURS:
            found.setdefault(point.name, []).append(point.dist.name if point.dist else "?")
    return {word: tuple(sorted(packages)) for word, packages in sorted(found.items())}


def package(word: str) -> str:
    """Return name and version of the package that answers under a word; "": this one, or none that is installed."""
    if word in OURS:
        library = LIBRARIES.get(word)
        try:
            return f"{library} {version(library)}" if library else ""
        except PackageNotFoundError:
            return ""
    return next((package_of(point) for point in entry_points(group=GROUP, name=word)), "")


def package_of(point: EntryPoint) -> str:
    """Return name and version of the package that an entry point stands in."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else ""


def unseated(words: tuple[str, ...], *, champion: str) -> tuple[str, str] | None:
    """Return what is allowed and the remedy for the first word that nobody answers to; None: all are known.

    The hosted forecaster is known where it is the champion: nobody is paid as a challenger.
    """
    mine = {*OURS, *({HOSTED} & {champion})}
    if all(word in mine for word in words):
        return None  # packages are looked through only for words that are not ours
    found = offered()
    names = " | ".join([*sorted(mine), *found])
    for word in words:
        if len(packages := found.get(word, ())) > 1:
            return names, f"{word} is offered by {' and '.join(packages)}: uninstall one of them."
        if word == HOSTED and word not in mine:
            return names, f"Take {word} out: it is paid, and asked only with forecast.backend=nixtla."
        if word not in mine and word not in found:
            return (
                names,
                f"{did_you_mean(word, [*mine, *found])}Else install the package that offers {word}, or take it out.",
            )
    return None


def unaccompanied(words: tuple[str, ...], *, champion: str) -> tuple[str, str] | None:
    """Return what is allowed and the remedy for a blend without its parts or the control arm; None: all are seated.

    It averages its parts' answers, and where it cannot answer by itself the control arm's stand in its place.
    """
    *parts, blend = LADDER
    missing = [word for word in (*parts, CONTROL) if word not in (*words, champion)]
    if blend not in words or not missing:
        return None
    return (
        f"{blend} beside {', '.join(parts)} and {CONTROL}",
        f"Add {', '.join(missing)} to forecast.challengers, or take {blend} out.",
    )
