"""`lyftlearn parity`: snapshots compared under a contract that says which differences are meant, and why."""
