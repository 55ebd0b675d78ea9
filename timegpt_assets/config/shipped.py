"""Where lies what comes with the package: the settings, and the files Dagster is started with.

Belongs here: the two places they can be in. A checkout keeps them beside the package, a wheel inside it.
"""

from pathlib import Path

_IN_A_WHEEL = Path(__file__).resolve().parents[1] / "shipped"
CHECKOUT = None if _IN_A_WHEEL.is_dir() else Path(__file__).resolve().parents[2]
"""The folder that holds the package and everything beside it; None for an installed wheel."""
FILES = CHECKOUT or _IN_A_WHEEL
CONFIGS, WORKSPACE, DAGSTER_YAML = FILES / "configs", FILES / "workspace.yaml", FILES / "dagster.yaml"
