"""The beat: sends scheduled tasks when they are due, from exactly one process however many are there to do it."""
