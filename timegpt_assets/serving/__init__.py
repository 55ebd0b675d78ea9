"""What other programs ask over HTTP: web services and the metrics they export. Nothing here yet.

Belongs here: applications that serve, one file each, built on runtime, adapters, config and core. A server must start
in a second and live without an instance, so nothing in this room may reach Dagster, at any remove.
"""
