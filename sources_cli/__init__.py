"""The ``sources`` command: write, check and run sources on a developer's machine. No image contains it."""
