"""Where the project lies: the folder that holds package, tests, settings and docs."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
