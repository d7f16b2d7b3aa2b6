"""What a cluster shows of a source, what is wrong with it, and how to print it."""
