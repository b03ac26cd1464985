"""What Hotplate knows of the app's database. SQLAlchemy is looked at where the app uses it, never imported here."""
