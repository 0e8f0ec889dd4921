"""What goes wrong on purpose, and what was called meanwhile."""

import fnmatch
import select
import socket
import threading

# A page of a proxy on the way, as users of such networks see it.
PAGE = b"<!DOCTYPE html><html><head><title>Access to this site is restricted</title></head><body>Contact your administrator.</body></html>"


class Fault:
    """One fault: at calls of an action (`*` in it stands for anything), from the `nth` of them on, so many times; of one account, if so.

    kinds: error (with `code`, `message`, `status`), throttle, failure (AWS's own 5xx), drop (the connection breaks), hold (until released,
    for the caller to be killed), silent (no answer until the caller leaves), page (`status`, HTML), empty (status 200), cut (an answer of
    AWS's that ends early). `done`: the call takes effect first.
    """

    def __init__(self, kind, action, nth=0, times=1, done=False, account=None, **rest):
        self.kind, self.action, self.nth, self.times, self.done, self.rest = kind, action, nth, times, done, rest
        self.account = account
        self.seen = self.fired = 0

    def strikes(self, action, account):
        if not fnmatch.fnmatchcase(action, self.action) or self.account not in (None, account):
            return False
        self.seen += 1
        if not self.nth < self.seen <= self.nth + self.times:
            return False
        self.fired += 1
        return True


class Faults:
    """The faults of now, and the calls since they were set."""

    def __init__(self):
        self.lock = threading.RLock()
        self.start_over([])

    def start_over(self, faults):
        with self.lock:
            self.all, self.calls, self.held = [Fault(**fault) for fault in faults], [], []
            self.used, self.refused = set(), set()
            self.released = threading.Event()

    def next(self, action, account, region):
        """Writes a call down; the fault that strikes it, or None."""
        with self.lock:
            self.calls.append({"action": action, "account": account, "region": region})
            striking = [fault for fault in self.all if fault.strikes(action, account)]
        return striking[0] if striking else None

    def fired(self):
        with self.lock:
            return [fault.fired for fault in self.all]

    def hold(self, action):
        with self.lock:
            self.held.append(action)
            released = self.released
        released.wait(30)

    def keep_silent(self, action, connection):
        """Until the caller leaves or the faults are released."""
        with self.lock:
            self.held.append(action)
            released = self.released
        while not released.is_set():
            readable, _, _ = select.select([connection], [], [], 0.05)
            if readable and not connection.recv(1, socket.MSG_PEEK):
                return
