"""What tests lean on: private servers, waits that poll, processes that are watched."""
