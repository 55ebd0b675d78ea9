"""What Dagster's instance is given by us: who owns a run, how runs are started, and the door to its private names.

The event storage alone lies in the root: the dagster.yaml of users names it.
"""
