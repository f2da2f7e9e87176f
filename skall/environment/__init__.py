"""Packages that skall depends on, random generators and the memory allocator."""
