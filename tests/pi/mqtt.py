"""A small MQTT 3.1.1 client that remembers everything it gets. It shares no code with weir."""

import contextlib
import json
import socket
import struct
import threading
import time

# Longer than anything takes on a machine that is busy.
PATIENCE_S = 900


class Message:
    def __init__(self, topic, payload, retained):
        self.topic, self.payload, self.retained, self.at = topic, payload, retained, time.time()

    @property
    def reading(self):
        return json.loads(self.payload)


def text(value):
    return struct.pack(">H", len(value.encode())) + value.encode()


class Client:
    """Connects until it is wanted no more, with a session that outlives connections when it has a name."""

    def __init__(self, port, name="", topics=()):
        self.port, self.name, self.topics = port, name, topics
        self.messages, self.news, self.ended, self.connections = [], threading.Condition(), False, 0
        self.sent, self.confirmed = 0, set()
        self.socket = None
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    def live(self):
        while not self.ended:
            try:
                self.serve()
            except (OSError, EOFError, struct.error):
                with self.news:
                    self.socket = None
                    self.news.notify_all()
                    # Nobody tells when a listener comes up.
                    self.news.wait(0.05)

    def serve(self):
        # QEMU accepts before it has asked inside, and does not tell when nobody answers there.
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            self.input = connection.makefile("rb")
            clean = 0 if self.name else 2
            send(connection, 0x10, text("MQTT") + bytes([4, clean, 0, 0]) + text(self.name))
            kind, body = self.packet()
            if kind != 0x20 or body[1] != 0:
                raise EOFError("refused")
            connection.settimeout(None)
            if self.topics:
                send(connection, 0x82, b"\0\1" + b"".join(text(topic) + b"\1" for topic in self.topics))
            with self.news:
                self.socket, self.connections = connection, self.connections + 1
                self.news.notify_all()
            while True:
                self.take(connection, *self.packet())

    def packet(self):
        first, length, shift = self.exactly(1)[0], 0, 0
        while True:
            byte = self.exactly(1)[0]
            length, shift = length | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return first, self.exactly(length)

    def exactly(self, count):
        data = self.input.read(count)
        if len(data) < count:
            raise EOFError("closed")
        return data

    def take(self, connection, first, body):
        if first >> 4 == 4:
            with self.news:
                self.confirmed.add(body)
                self.news.notify_all()
        if first >> 4 != 3:
            return
        length, = struct.unpack(">H", body[:2])
        topic, rest = body[2:2 + length].decode(), body[2 + length:]
        if first & 6:
            rest, number = rest[2:], rest[:2]
        with self.news:
            self.messages.append(Message(topic, rest, bool(first & 1)))
            self.news.notify_all()
        if first & 6:
            send(connection, 0x40, number)

    def publish(self, topic, payload):
        with self.news:
            send(self.socket, 0x30, text(topic) + payload.encode())

    def confirm(self, topic, payload):
        """Publishes with QoS 1; whether that was acknowledged before the connection ended."""
        with self.news:
            if not (connection := self.socket):
                return False
            self.sent += 1
            number = struct.pack(">H", self.sent % 65535 + 1)
            self.confirmed.discard(number)
            try:
                send(connection, 0x32, text(topic) + number + payload.encode())
            except OSError:
                return False
            self.news.wait_for(lambda: number in self.confirmed or self.socket is not connection)
            return number in self.confirmed

    def wait(self, what, find, patience_s=PATIENCE_S):
        """The first true answer of `find`, asked again after each message."""
        if not (answer := self.waits(find, patience_s)):
            last = [(m.topic, m.payload) for m in self.messages[-5:]]
            raise TimeoutError(f"{what}: not within {patience_s} s; {len(self.messages)} messages, the last: {last}")
        return answer

    def waits(self, find, patience_s):
        """The same, or the last answer that is not."""
        end = time.monotonic() + patience_s
        with self.news:
            while not (answer := find()) and (left := end - time.monotonic()) > 0:
                self.news.wait(left)
            return answer

    def ready(self, patience_s=PATIENCE_S):
        self.wait(f"a connection to port {self.port}", lambda: self.socket, patience_s)
        return self

    def on(self, topic, since=0):
        return [message for message in self.messages[since:] if message.topic == topic]

    def close(self):
        self.ended = True
        with self.news:
            if self.socket:
                # The other end may have gone a moment ago.
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_RDWR)


def send(connection, first, body):
    length, head = len(body), bytes([first])
    while True:
        head += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            break
    connection.sendall(head + body)
