"""A forward proxy for plain HTTP that writes down what went through it.

    proxy.py ADDRESS PORT FOLDER

FOLDER/proxied has a line per request: its URL.
"""

import http.server
import pathlib
import shutil
import sys
import urllib.error
import urllib.request

address, port, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(folder / "proxied", "a") as log:
            log.write(self.path + "\n")
        # Docker sends several headers `Accept`, in any order: all of them count.
        names = {name.lower() for name in self.headers} - {"host", "proxy-connection", "connection"}
        headers = {name: ", ".join(self.headers.get_all(name)) for name in names}
        try:
            answer = direct.open(urllib.request.Request(self.path, headers=headers, method=self.command), timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        except OSError as error:
            return self.send_error(502, str(error))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        shutil.copyfileobj(answer, self.wfile)

    do_HEAD = do_GET


http.server.ThreadingHTTPServer((address, port), Handler).serve_forever()
