"""Who may do what: tokens and their roles, browsers' sessions and the codes for them, failed tries, the audit.

Nothing here knows HTTP; :mod:`app.api.guard` asks, :mod:`app.api.access` has the routes.
"""
