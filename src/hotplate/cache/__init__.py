"""What is kept of answers, how long, and when it may be used: decisions without I/O, and the stores that hold it."""
