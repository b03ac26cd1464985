"""The parts of the response cache's layer: find, ask, wait, keep, refresh, send, invalidate, measure."""
