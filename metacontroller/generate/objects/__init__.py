"""The objects of the installation, as trees."""
