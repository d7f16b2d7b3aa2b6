"""The Metacontroller hook: pure functions from a request to a response.

``app`` parses the request and reads the clock. Then ``controller.sync`` calls ``source`` (check the spec), ``sinks``
(find the URLs), ``deployments`` (build the children), ``rollouts`` and ``pods`` (assess the observed children) and
``conditions`` (write the status). The hook keeps no state between requests.
"""
