"""What is wrong, from the objects that a cluster shows. The hook and ``sources explain`` share it."""
