"""CloudEvents as HTTP messages: encode ours, decode other senders'."""
