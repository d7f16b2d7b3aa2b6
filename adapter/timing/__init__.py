"""Sources that act at fixed times: when their ticks are due, and which of the late ticks are sent."""
