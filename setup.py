"""Builds the wheel: the settings and Dagster's files, which lie beside the package in a checkout, go inside it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
BESIDE = (
    *sorted(HERE.glob("configs/**/*.yaml")),
    *sorted(HERE.glob("configs/*.csv")),
    HERE / "dagster.yaml",
    HERE / "workspace.yaml",
)


class BuildWithSettings(build_py):
    """Copies what is named above to ``timegpt_assets/shipped``, where config/shipped.py looks for it."""

    def run(self) -> None:
        """Build the package; one that is installed in place finds the files where they are."""
        super().run()
        if not self.editable_mode:
            for file in BESIDE:
                target = Path(self.build_lib, "timegpt_assets", "shipped", file.relative_to(HERE))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)


setup(cmdclass={"build_py": BuildWithSettings})
