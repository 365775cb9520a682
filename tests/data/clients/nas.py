"""A NAS in a few lines: logins by PAP and accounting (RFC 2865, RFC 2866)."""
import hashlib
import os
import socket
import struct
import time


class Nas:
    def __init__(self, auth, accounting, secret):
        self.auth, self.accounting, self.secret = auth, accounting, secret.encode()
        self.identifier = 0

    def _ask(self, to, code, attributes, authenticator=None):
        self.identifier = (self.identifier + 1) % 256
        body = b"".join(struct.pack("BB", kind, len(value) + 2) + value for kind, value in attributes)
        head = struct.pack("!BBH", code, self.identifier, 20 + len(body))
        if authenticator is None:
            authenticator = hashlib.md5(head + bytes(16) + body + self.secret).digest()
        host, port = to.rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.settimeout(1)
            for _ in range(20):
                wire.sendto(head + authenticator + body, (host, int(port)))
                try:
                    return wire.recv(4096)[0]
                except socket.timeout:
                    pass
        raise SystemExit("no answer")

    def accepts(self, user, password):
        """Is the login accepted?"""
        authenticator = os.urandom(16)
        plain = password.encode().ljust(16, b"\0")
        pad = hashlib.md5(self.secret + authenticator).digest()
        hidden = bytes(a ^ b for a, b in zip(plain, pad))
        return self._ask(self.auth, 1, [(1, user.encode()), (2, hidden), (4, bytes([127, 0, 0, 1]))], authenticator) == 2

    def soon(self, user, password, wanted):
        """A change is in force within a second."""
        for _ in range(50):
            if self.accepts(user, password) == wanted:
                return
            time.sleep(0.1)
        raise SystemExit("%s is not %s" % (user, "accepted" if wanted else "rejected"))

    def record(self, status, user, session, seconds, octets_in, octets_out):
        """1 is a Start, 2 a Stop, 3 an Interim-Update."""
        numbers = [(40, status), (46, seconds), (42, octets_in), (43, octets_out), (5, 7)]
        attributes = [(1, user.encode()), (44, session.encode()), (4, bytes([127, 0, 0, 1]))]
        attributes += [(kind, struct.pack("!I", value)) for kind, value in numbers]
        assert self._ask(self.accounting, 4, attributes) == 5
