"""`@hotplate.cached`: the values of functions, by their arguments, in the same stores."""
