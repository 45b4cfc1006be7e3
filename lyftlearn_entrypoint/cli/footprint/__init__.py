"""What a start touches of an image: measured, told and held to a budget, for `lyftlearn image footprint`."""
