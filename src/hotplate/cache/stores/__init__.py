"""Where entries are kept: one process, one machine, many machines. All keep the promises of `base.Store`."""
