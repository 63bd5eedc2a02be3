"""Answers every GET with one line that names the host asked for."""

import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

GREETING = os.environ.get("GREETING") or "Hello"
WORKERS = 200
KEPT = 150  # open between requests, at most: new connections need workers too


class Server(ThreadingHTTPServer):
    """A threading server with a limit on its threads and a clean end."""

    request_queue_size = 1024

    def __init__(self, *args):
        super().__init__(*args)
        self.connections = set()
        self.pool = ThreadPoolExecutor(WORKERS)

    def process_request(self, request, client_address):
        self.connections.add(request)
        work = self.process_request_thread
        self.pool.submit(work, request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def drain(self):
        """Stop listening, finish what is in flight, end idle connections."""
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes serve_forever()
        self.shutdown()
        self.server_close()
        for connection in self.connections.copy():
            with suppress(OSError):  # closed meanwhile
                connection.shutdown(socket.SHUT_RD)
        self.pool.shutdown()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # else garbage is taken for HTTP/0.9
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: head and body leave in one write
    timeout = 120

    def do_GET(self):
        host = re.sub(r":\d*$", "", self.headers.get("Host", ""))
        body = f"{GREETING} from Python at {host}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.has_body() or len(self.server.connections) > KEPT:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def has_body(self):
        """A body stays unread: it must not be taken for the next request."""
        names = ("Content-Length", "Transfer-Encoding")
        return any(name in self.headers for name in names)

    def log_message(self, *args):
        pass


def main():
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    server = Server(("0.0.0.0", 8080), Handler)
    Thread(target=server.serve_forever).start()
    signal.sigwait(stop)
    server.drain()


if __name__ == "__main__":
    main()
