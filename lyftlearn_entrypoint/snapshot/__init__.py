"""What a program in a container can observe, as one JSON document without a value of anything. Standard library only."""
