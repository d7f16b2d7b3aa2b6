"""Feeds of RSS and Atom: recognises them, checks their markup, and parses them in a subprocess with limits."""
