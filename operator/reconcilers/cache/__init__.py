"""A tenant's user on a shared cache server: its own keys, the commands that the app needs, nothing else."""
