"""What people and programs read: text, JSON, and diagnostics. Only the command line imports this."""
