"""Promises kept by the real command: processes are started, killed and looked at."""
