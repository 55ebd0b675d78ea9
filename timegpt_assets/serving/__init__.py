"""What other programs ask: the stored tables, read from Python. Web services and the metrics they export come here.

Belongs here: whatever is asked from outside, one file a subject, built on runtime, adapters, config and core. It must
start in a second and live without an instance, so nothing in this room may reach Dagster, at any remove.
"""
