"""An HTTP API that lists orders as JSON, or as RSS with the newest first below /feed. Runs in a pod.

Requests without KEY in the header `X-Key` get 401. There are PER_S new orders per second. They depend only on the
clock, so a new pod also lists the orders that became due while no pod ran.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LISTED = 600
KEY = sys.argv[1]
PER_S = int(sys.argv[2]) if len(sys.argv) > 2 else 3


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        newest = int(time.time() * PER_S)
        orders = [{"number": n, "by": f"customer {n % 7}"} for n in range(newest - LISTED, newest + 1)]
        body = json.dumps({"data": {"orders": orders}}).encode()
        if self.path.startswith("/feed"):
            items = [
                f"<item><guid>{order['number']}</guid><title>{order['by']}</title></item>" for order in reversed(orders)
            ]
            body = f'<rss version="2.0"><channel>{"".join(items)}</channel></rss>'.encode()
        self.send_response(200 if self.headers["X-Key"] == KEY else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
