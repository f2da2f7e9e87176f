"""How state gets into files and out of them."""
