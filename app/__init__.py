"""The service: what ``zordon serve`` runs."""
