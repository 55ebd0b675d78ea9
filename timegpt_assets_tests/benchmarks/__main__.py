"""Run every benchmark of this folder, one after the other: ``python -m timegpt_assets_tests.benchmarks``."""

import runpy
from pathlib import Path


def main() -> None:
    """Run each module that stands beside this one."""
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        runpy.run_module(f"timegpt_assets_tests.benchmarks.{path.stem}", run_name="__main__")


if __name__ == "__main__":
    main()
