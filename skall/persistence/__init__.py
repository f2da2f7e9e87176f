"""Writing files, and packing estimators for other tools."""
