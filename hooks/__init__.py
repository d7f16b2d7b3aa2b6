"""DECIDE: pure functions from Metacontroller's request to its response.

One sync: ``app`` parses and reads the clock once -> ``controller.sync`` finds the observed Deployment ->
``sinks.resolve`` gives a URL or a reason -> ``deployments`` builds what should exist, ``rollouts`` judges what
was observed -> ``conditions.update`` -> response. Nothing is remembered between requests.
"""
