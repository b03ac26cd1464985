"""What the benchmarks serve."""
