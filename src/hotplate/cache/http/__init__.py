"""RFC 9111 and what belongs to it: what may be stored and used, and what a stored response answers. No I/O."""
