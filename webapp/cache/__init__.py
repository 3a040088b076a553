"""What the app keeps on the platform's shared cache server, and that it does without it at any moment (docs/adr/0022)."""
