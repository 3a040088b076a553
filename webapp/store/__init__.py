"""The tenant's database: one module a noun, each query a function with a name. SQL stands nowhere else."""
