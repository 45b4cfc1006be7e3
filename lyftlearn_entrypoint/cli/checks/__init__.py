"""What `lyftlearn doctor` checks. Each check asks with the start's own code, so that it proves what a start would do."""
