"""How many: processes, threads and database connections."""
