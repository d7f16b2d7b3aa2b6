"""How long tests wait. A wait that succeeds costs nothing, so one deadline serves the slowest machine of all."""

DEADLINE_S = 120  # of one wait, and of one program that a test runs to its end
