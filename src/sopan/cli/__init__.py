"""The command line: thin doors, one command a file, onto `sopan.usecases`."""
