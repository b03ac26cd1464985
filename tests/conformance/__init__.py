"""What others say of HTTP caches: the public test suite, and another implementation to be compared with."""
