"""What skall runs on: packages, random generators and the memory allocator."""
