"""The road of a snapshot is the one that its page draws: as many files and types, no more.

Guards against one thing growing several names again: whoever adds a type or a file to the road draws it first.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import timegpt_assets
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

PACKAGE = Path(timegpt_assets.__file__).parent
PAGE = PACKAGE.parent / "docs" / "explanation" / "road-of-a-snapshot.md"
MOST_FILES, MOST_TYPES = 9, 7
WORKERS = {
    *("Account", "BudgetLedger", "ForecastCache", "Index", "MeteredTransport", "ObjectStore", "SdkRequests", "Size"),
    *("TimeGPT", "CallError", "RetryableFailure", "Bytes", "Report", "Exogenous", "Target", "LedgerStore"),
}
"""Classes of ours that work on the road and are not what travels on it."""


def drawn(pattern: str) -> set[str]:
    """Return what the page's tables name."""
    return set(re.findall(pattern, PAGE.read_text(), re.MULTILINE))


def types_drawn() -> set[str]:
    return drawn(r"^\| `([A-Z]\w+)` \|")


def files_drawn() -> set[str]:
    return drawn(r"^\| `(\S+\.py)` \|")


def met(tmp_path: Path) -> set[CodeType]:
    """Return the code of ours that one paid snapshot runs through, and again when it is there already."""
    seen: set[CodeType] = set()

    def profile(at: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            seen.add(at.f_code)

    with TimeGPTServer() as server:
        forecaster = timegpt(server.url, tmp_path)
        sys.setprofile(profile)
        try:
            for _ in range(2):
                forecaster.answers([frame()], budget_run_id="run")
        finally:
            sys.setprofile(None)
    return {code for code in seen if Path(code.co_filename).is_relative_to(PACKAGE)}


@cache
def classes() -> set[str]:
    """Return every public class of the package by name."""
    trees = (ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py"))
    found = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return {name for name in found if not name.startswith("_")}


def names_in(path: Path, first_line: int) -> set[str]:
    """Return the classes of ours that the function at a line takes, gives or belongs to."""
    return {name for owner, function in _functions(path) if _first(function) == first_line for name in
            _named(function) | {owner}} & classes()  # fmt: skip


@cache
def _functions(path: Path) -> list[tuple[str, ast.FunctionDef]]:
    return list(_inside(ast.parse(path.read_text()), ""))


def _inside(node: ast.AST, owner: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield owner, child
        yield from _inside(child, child.name if isinstance(child, ast.ClassDef) else owner)


def _first(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(d.lineno for d in function.decorator_list)])


def _named(function: ast.FunctionDef) -> set[str]:
    arguments = function.args
    every = [*arguments.args, *arguments.kwonlyargs, *arguments.posonlyargs]
    annotations = [a.annotation for a in every if a.annotation] + ([function.returns] if function.returns else [])
    return {name for part in annotations for name in re.findall(r"\w+", ast.unparse(part))}


def test_a_paid_snapshot_meets_the_types_and_files_that_its_page_draws(tmp_path: Path) -> None:
    codes = met(tmp_path)
    by_file: dict[str, set[str]] = {}
    for code in codes:
        path = Path(code.co_filename)
        by_file.setdefault(path.relative_to(PACKAGE).as_posix(), set()).update(names_in(path, code.co_firstlineno))
    road = {file for file, names in by_file.items() if names & types_drawn()}
    travelling = {name for file in road for name in by_file[file]} - WORKERS
    assert travelling == types_drawn()
    assert len(types_drawn()) <= MOST_TYPES
    assert road | {"core/forecasts/framing.py"} == files_drawn()  # frames are made here by the test
    assert len(files_drawn()) <= MOST_FILES
