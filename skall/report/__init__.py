"""What a comparison shows: figures."""
