"""The hosts: what answers at an instance's address once it has booted."""

import asyncio
import json
import os
import re
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """A server for clients that break connections, as tests make them do."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)


class TlsServer(Server):
    """A server whose connections each have a thread from their first byte: one that says nothing holds up no other."""

    HANDSHAKE = 30

    def __init__(self, address, handler, context):
        super().__init__(address, handler)
        self.context = context

    def finish_request(self, request, client_address):
        request.settimeout(self.HANDSHAKE)
        with self.context.wrap_socket(request, server_side=True) as connection:
            connection.settimeout(None)
            super().finish_request(connection, client_address)


class Daemon(BaseHTTPRequestHandler):
    """Answers like dockerd, as far as a probe and the Docker CLI's ping ask."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = re.sub(r"^/v[0-9.]+", "", self.path)
        answers = {
            "/version": {"Version": "27.0.0-front", "ApiVersion": "1.46", "MinAPIVersion": "1.24", "Os": "linux"},
            "/_ping": "OK",
            "/info": {"ID": "front", "ContainersRunning": 0, "ServerVersion": "27.0.0-front"},
        }
        found = answers.get(path)
        body = (found if isinstance(found, str) else json.dumps(found or {"message": "page not found"})).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Passing:
    """Passes what comes over TLS to a real daemon that was started before, by its socket."""

    def __init__(self, address, daemon, context):
        self.loop, self.daemon = asyncio.new_event_loop(), daemon
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, *address, ssl=context))

    async def serve(self, reader, writer):
        from_daemon, to_daemon = await asyncio.open_unix_connection(self.daemon)
        await asyncio.gather(self.copy(reader, to_daemon), self.copy(from_daemon, writer))

    async def copy(self, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def serve_forever(self, poll_interval):
        self.loop.run_forever()

    def shutdown(self):
        # What is open stays so: the daemon goes on as well.
        self.loop.call_soon_threadsafe(self.server.close)

    def server_close(self):
        pass


class Host(threading.Thread):
    """A host that boots: it takes its identity from the shared folder, which is the first of these that appears, and serves what it plays itself, or
    what a daemon says."""

    def __init__(self, folders, address, daemon=None, context=None):
        super().__init__(daemon=True)
        self.folders, self.address, self.daemon, self.context = folders, address, daemon, context
        self.ended = threading.Event()
        self.server = None

    def again(self):
        """The same host, started again: it has its identity on its disk."""
        host = Host(self.folders, self.address, self.daemon, self.context)
        host.start()
        return host

    def run(self):
        if self.context is None and not self.take_identity():
            return
        address = (self.address, 1111)
        self.server = Passing(address, self.daemon, self.context) if self.daemon else TlsServer(address, Daemon, self.context)
        folder = next(folder for folder in self.folders if os.path.isdir(folder))
        status_file = os.path.join(folder, "status")
        with open(status_file, "a", encoding="utf-8") as status:
            # A host writes as whom the folder belongs to.
            owner = os.stat(os.path.dirname(status_file))
            os.chown(status_file, owner.st_uid, owner.st_gid)
            status.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} ready done\n")
        if not self.ended.is_set():
            self.server.serve_forever(poll_interval=0.05)

    def take_identity(self):
        """Whether it came to have one before it ended."""
        in_folder = lambda folder, name: os.path.join(folder, name)
        while not (found := [folder for folder in self.folders if os.path.exists(in_folder(folder, "certs/server/key.pem"))]):
            if self.ended.wait(0.005):
                return False
        folder, key = found[0], in_folder(found[0], "certs/server/key.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(in_folder(folder, "certs/server/cert.pem"), key)
        context.load_verify_locations(in_folder(folder, "certs/server/ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        os.remove(key)
        self.folders, self.context = [folder], context
        return True

    def end(self):
        self.ended.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
