"""Runs a source: pulls its events, delivers them, and drains at the end."""
