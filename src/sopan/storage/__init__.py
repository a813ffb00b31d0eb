"""What is kept on a disk: atomic files and folders, strict JSON, checksums, named arrays."""
