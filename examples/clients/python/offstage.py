"""A client for offstage in Python, written from docs/PROTOCOL.md.

Needs Python 3.9 and cbor2 (Debian: python3-cbor2). One connection, one call at a time; safe to share between threads.

    with Client("127.0.0.1", 11006, user="web", password="...") as client:
        print(client.call("billing_worker", "charge", {"id": 42}, timeout=5.0))
        client.enqueue("mail_worker", "send", {"to": "a@example.com"}, job_key="welcome-1")
"""

import base64
import hashlib
import hmac
import os
import re
import socket
import struct
import threading
import unicodedata

import cbor2

HELLO, AUTH, READY, CALL, ACCEPTED, RESULT, ERROR, CANCEL, CREDIT, PING, PONG, GOAWAY = range(1, 13)
VERBS = {name: number for number, name in enumerate(
    "call async enqueue dequeue ask_result reset_result new_worker delete worker_info all_worker_info".split())}
NOTHING = object()
PREAMBLE = b"OFFS\x01\x01\x00\x00"
HEADER = struct.Struct(">IBBHI")
HANDSHAKE_MAX_BODY = 4096
CREDIT_LATER = 1
SCRAM = "SCRAM-SHA-256"
GS2 = "p=offstage-hello,,"
ITERATIONS = range(4096, 100_001)


class OffstageError(Exception):
    """What the server, or a worker, said; `executed` is "no", "maybe" or "yes"."""

    def __init__(self, code, message, executed="no", retryable=False, details=None, remote=None):
        super().__init__(message)
        self.code, self.message, self.executed, self.retryable = code, message, executed, retryable
        self.details, self.remote = details or {}, remote


class ConnectionBroken(OffstageError):
    """The connection ended. `executed` says whether the call may have been run."""

    def __init__(self, message, executed="no"):
        super().__init__("CONNECTION" if executed == "no" else "OUTCOME_UNKNOWN", message, executed, executed == "no")


def encode(value):
    return cbor2.dumps(value, datetime_as_timestamp=True)


def _failure(body):
    fields = cbor2.loads(body)
    return OffstageError(fields.get("code", "UNKNOWN"), fields.get("message", ""), fields.get("executed", "maybe"),
                         fields.get("retryable", False), fields.get("details"), fields.get("remote"))


def _hmac(key, text):
    return hmac.new(key, text.encode(), "sha256").digest()


class Scram:
    """One attempt to authenticate. The binding makes it worth nothing on another connection."""

    def __init__(self, user, password, hello, preamble=PREAMBLE, nonce=None):
        name = unicodedata.normalize("NFKC", user).replace("=", "=3D").replace(",", "=2C")
        self._password = unicodedata.normalize("NFKC", password).encode()
        self._nonce = nonce or base64.b64encode(os.urandom(24)).decode()
        self._bare = f"n={name},r={self._nonce}"
        self._binding = GS2.encode() + hashlib.sha256(preamble + hello).digest()
        self._signature = None

    def first(self):
        return GS2 + self._bare

    def final(self, server_first):
        match = re.fullmatch(r"r=([^,]+),s=([\w+/=]+),i=(\d{1,9})", server_first)
        if match is None or not match[1].startswith(self._nonce) or match[1] == self._nonce:
            raise OffstageError("AUTH_FAILED", "the server did not answer with a nonce of its own behind ours")
        if int(match[3]) not in ITERATIONS:
            raise OffstageError("AUTH_FAILED", f"the server asks for {match[3]} rounds of hashing")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(match[2]), int(match[3]))
        unproven = f"c={base64.b64encode(self._binding).decode()},r={match[1]}"
        message = f"{self._bare},{server_first},{unproven}"
        client_key = _hmac(salted, "Client Key")
        mask = _hmac(hashlib.sha256(client_key).digest(), message)
        self._signature = _hmac(_hmac(salted, "Server Key"), message)
        proof = bytes(a ^ b for a, b in zip(client_key, mask))
        return f"{unproven},p={base64.b64encode(proof).decode()}"

    def verify(self, server_final):
        expected = "v=" + base64.b64encode(self._signature or b"").decode()
        if self._signature is None or not hmac.compare_digest(expected.encode(), str(server_final).encode()):
            raise OffstageError("AUTH_FAILED", "the server could not prove that it knows this user")


class Client:
    """Connects at once. `host` may be "unix:/path". `ssl_context` (ssl.SSLContext) encrypts. Times in seconds."""

    def __init__(self, host="127.0.0.1", port=11006, user=None, password=None, ssl_context=None, connect_timeout=5.0):
        self._where = (host, port)
        self._identity = (user, password)
        self._ssl, self._connect_timeout = ssl_context, connect_timeout
        self._lock = threading.Lock()
        self._socket = None
        self._connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def call(self, worker, method, arg=NOTHING, *, worker_key="", job_key="", timeout=None):
        """Runs the method and returns its result."""
        return self._call("call", worker, worker_key, method, job_key, arg, timeout=timeout)

    def async_call(self, worker, method, arg=NOTHING, *, worker_key="", job_key="", timeout=None):
        """Returns when the worker has taken the message."""
        self._call("async", worker, worker_key, method, job_key, arg, timeout=timeout)

    def enqueue(self, worker, method, arg=NOTHING, *, job_key, worker_key="", run_at=None, priority=0, attempts=0,
                at_most_once=False):
        """Returns {"id", "created"} when the job is on disk. `run_at` in seconds since 1970."""
        more = {6: None if run_at is None else round(run_at * 1000), 7: priority or None, 8: attempts or None,
                9: at_most_once or None}
        return self._call("enqueue", worker, worker_key, method, job_key, arg, more)

    def dequeue(self, worker, method, *, job_key, worker_key=""):
        return self._call("dequeue", worker, worker_key, method, job_key)

    def ask_result(self, worker, key, *, worker_key=""):
        """What the worker has cached under this key, or None."""
        return self._call("ask_result", worker, worker_key, job_key=key)

    def reset_result(self, worker, key, value=NOTHING, *, worker_key=""):
        return self._call("reset_result", worker, worker_key, job_key=key, arg=value)

    def worker_info(self, worker, *, worker_key=""):
        return self._call("worker_info", worker, worker_key)

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _call(self, verb, worker, worker_key="", method="", job_key="", arg=NOTHING, more=None, timeout=None):
        envelope = {0: VERBS[verb], 1: worker or None, 2: worker_key or None, 3: method or None, 4: job_key or None,
                    5: None if timeout is None else round(timeout * 1000), **(more or {})}
        body = cbor2.dumps({key: value for key, value in envelope.items() if value is not None})
        body += b"" if arg is NOTHING else encode(arg)
        with self._lock:
            if self._socket is None:
                self._connect()
            if len(body) > self._max_body:
                raise ValueError(f"the call takes {len(body)} bytes, and the server takes {self._max_body}")
            if self._corr == 0xFFFFFFFF:
                self.close()
                self._connect()
            self._corr += 1
            self._send(CALL, self._corr, body)
            return self._answer(self._corr, timeout)

    def _answer(self, corr, timeout):
        # The server ends the call in time; a little later the network must be what is slow.
        self._socket.settimeout(None if timeout is None else timeout + 5)
        try:
            while True:
                kind, flags, number, body = self._receive()
                if kind == GOAWAY:
                    self._leaving = True
                    if cbor2.loads(body)["last"] < corr:
                        self.close()
                        raise ConnectionBroken("the server is leaving, and has not taken this call")
                elif kind == CREDIT:
                    self._owed.discard(number)
                elif kind in (ACCEPTED, RESULT, ERROR) and number == corr:
                    return self._outcome(kind, flags, corr, body)
                else:
                    raise self._broken(f"the server sent frame {kind} for call {number}", "maybe")
        except socket.timeout:
            raise self._broken("the server did not answer in time", "maybe") from None

    def _outcome(self, kind, flags, corr, body):
        if self._leaving:
            self.close()
        if kind == ERROR:
            if flags & CREDIT_LATER:
                self._owed.add(corr)
                if len(self._owed) >= self._max_calls:
                    self.close()
            raise _failure(body)
        return None if kind == ACCEPTED else cbor2.loads(body)

    def _connect(self):
        host, port = self._where
        if host.startswith("unix:"):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(self._connect_timeout)
            self._socket.connect(host[len("unix:"):])
        else:
            self._socket = socket.create_connection((host, port), self._connect_timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._ssl is not None:
                self._socket = self._ssl.wrap_socket(self._socket, server_hostname=host)
        self._corr, self._owed, self._leaving, self._max_body = 0, set(), False, HANDSHAKE_MAX_BODY
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self):
        self._socket.sendall(PREAMBLE)
        hello_bytes = self._expect(HELLO)
        hello = cbor2.loads(hello_bytes)
        user, password = self._identity
        scram = None
        if user is not None:
            if SCRAM not in hello["auth"]:
                raise OffstageError("AUTH_FAILED", f"the server does not prove who it is by {SCRAM}")
            scram = Scram(user, password, hello_bytes)
            self._send(AUTH, 0, encode({"mechanism": SCRAM, "data": scram.first()}))
            self._send(AUTH, 0, encode({"data": scram.final(cbor2.loads(self._expect(AUTH))["data"])}))
        elif hello["auth"]:
            raise OffstageError("AUTH_FAILED", "the server asks for a user and a password")
        ready = cbor2.loads(self._expect(READY))
        if scram is not None:
            scram.verify(ready.get("data"))
        self._max_body, self._max_calls = hello["limits"]["maxBody"], hello["limits"]["maxCalls"]

    def _expect(self, wanted):
        kind, _, _, body = self._receive()
        if kind != wanted:
            raise self._broken(f"the server sent frame {kind} where {wanted} was due")
        return body

    def _send(self, kind, corr, body):
        try:
            self._socket.sendall(HEADER.pack(len(body), kind, 0, 0, corr) + body)
        except OSError as error:
            raise self._broken(f"the connection broke: {error}", "maybe") from error

    def _receive(self):
        """The next frame that is not PING, which is answered here, or PONG."""
        while True:
            length, kind, flags, reserved, corr = HEADER.unpack(self._read(HEADER.size))
            if length > self._max_body or not HELLO <= kind <= GOAWAY or reserved:
                raise self._broken("the server broke the protocol", "maybe" if self._corr else "no")
            body = self._read(length)
            if kind == PING:
                self._send(PONG, 0, b"")
            elif kind == ERROR and corr == 0:
                self.close()
                raise _failure(body)
            elif kind != PONG:
                return kind, flags, corr, body

    def _read(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                piece = self._socket.recv(count - len(data))
            except socket.timeout:
                raise
            except OSError as error:
                raise self._broken(f"the connection broke: {error}", "maybe" if self._corr else "no") from error
            if not piece:
                raise self._broken("the server ended the connection", "maybe" if self._corr else "no")
            data += piece
        return bytes(data)

    def _broken(self, message, executed="no"):
        self.close()
        return ConnectionBroken(message, executed)
