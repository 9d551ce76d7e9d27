"""What people read: rows in PostgreSQL. Tables, one file of queries per aggregate, migrations."""
