"""The request path: one ASGI pipeline between the data plane and the user's app."""
