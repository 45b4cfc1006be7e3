"""`lyftlearn image`: commands.py has the group, every other module one thing that it does. Nothing is imported here."""
