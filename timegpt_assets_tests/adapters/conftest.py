"""Fixtures of the adapters' tests."""

from timegpt_assets_tests.adapters.buckets import bucket, server

__all__ = ["bucket", "server"]
