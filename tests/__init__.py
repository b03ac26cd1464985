"""Tests, one folder per room of the source tree."""
