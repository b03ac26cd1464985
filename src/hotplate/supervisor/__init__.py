"""The process tree: a master that never imports the app, generations that do, workers that serve."""
