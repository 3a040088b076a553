"""A tenant's PostgreSQL database: its roles, grants, limits and the template it is cloned from."""
