"""Hotplate and its peers, side by side in one run; `make bench` writes benchmarks/results/."""
