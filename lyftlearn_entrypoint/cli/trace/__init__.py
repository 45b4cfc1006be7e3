"""`lyftlearn trace`: the trace of a start as a waterfall, for the terminal and for a browser."""
