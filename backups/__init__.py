"""Backups: a tenant's database dumped into an encrypted repository of its own, by jobs that never hold the store's key.

Runs in one-off jobs and in the gateway, so it knows nothing of the operator and of the app.
"""
