"""Compiled code is made anew when anything in it has changed: numba looks at a function's file, not at its callees'.

``python -m timegpt_assets_tests.core.backtest.test_compiled_sources --renew`` writes today's digests into the sources.
"""

import ast
import hashlib
import re
import sys
from pathlib import Path

import pytest

from timegpt_assets.core.backtest import costs, kernel

FOLDER = Path(costs.__file__).parent
COMPILED = ("tape", "kernel", "passages", "earnings")
"""Whose functions numba compiles, each after those it calls."""
MADE_OF = re.compile(r'^MADE_OF = "(.*)"$', re.MULTILINE)


def source(name: str) -> str:
    return (FOLDER / f"{name}.py").read_text()


def called(name: str) -> list[str]:
    """The compiled modules that this one imports from."""
    found = set[str]()
    for node in ast.walk(ast.parse(source(name))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("timegpt_assets."):
            found |= {str(node.module).rsplit(".", 1)[-1], *(alias.name for alias in node.names)}
    return [other for other in COMPILED if other in found]


def digest(name: str) -> str:
    return hashlib.sha256("".join(map(source, called(name))).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", COMPILED[1:])
def test_a_compiled_file_changes_when_one_that_it_calls_does(name: str) -> None:
    assert called(name), "or numba would be all there is in it"
    renew = f"Run python -m {__name__} --renew"
    assert MADE_OF.findall(source(name)) == [digest(name)], f"{name}.py is made of other code by now. {renew}"


def test_what_is_compiled_calls_nothing_else_of_ours() -> None:
    for path in FOLDER.glob("*.py"):
        assert ("njit" in path.read_text()) == (path.stem in COMPILED), path.name
    for name in COMPILED:
        modules = re.findall(r"^from (timegpt_assets\S*) import", source(name), re.MULTILINE)
        own = "timegpt_assets.core.backtest"
        assert {module for module in modules if module.removeprefix(f"{own}.") not in COMPILED} <= {own}
    assert (kernel.BASIS_POINT, kernel.BORROW_DAYS) == (costs.BASIS_POINT, costs.BORROW_DAYS)


def renew() -> None:
    """Write the digests, callees first: whoever calls a file that changed has changed itself."""
    for name in COMPILED[1:]:
        (FOLDER / f"{name}.py").write_text(MADE_OF.sub(f'MADE_OF = "{digest(name)}"', source(name)))


if __name__ == "__main__" and "--renew" in sys.argv:
    renew()
