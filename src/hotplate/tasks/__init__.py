"""Long work beside the requests: Celery with the app's context, sane defaults, and a broker that needs nothing installed."""
