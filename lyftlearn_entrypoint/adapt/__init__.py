"""What the cluster did for a pod, done again: one module per row of the table in README.md. Pure: data in, data out."""
