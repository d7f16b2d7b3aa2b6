"""For people: the ``sources`` command. Never loaded by the running hook."""
