"""What runs the tasks: Celery workers and the beat, within processes that the supervisor forks."""
