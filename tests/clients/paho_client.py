"""Eclipse Paho's Python client against the hub: every QoS, retained messages, a will; prints OK, or raises.

Arguments: URL, MQTT version (4 or 5), file with the authority, prefix of topics and client ids."""

import queue
import sys
import threading
from urllib.parse import urlsplit

import paho.mqtt.client as paho

URL, VERSION, AUTHORITY, PREFIX = urlsplit(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
PATIENCE = 15
COUNT = 20


class Client:
    def __init__(self, name, will=None):
        self.ready, self.subscribed, self.received = threading.Event(), threading.Event(), queue.Queue()
        transport = "websockets" if URL.scheme in ("ws", "wss") else "tcp"
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            f"{PREFIX}/{name}",
            protocol=VERSION,
            transport=transport,
            reconnect_on_failure=False,
        )
        if transport == "websockets":
            self.client.ws_set_options(path=URL.path)
        if URL.scheme in ("mqtts", "wss"):
            self.client.tls_set(AUTHORITY)
        if will:
            self.client.will_set(will, "gone", 1)
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = lambda _client, _userdata, message: self.received.put(message)
        self.client.connect(URL.hostname, URL.port, keepalive=20)
        self.client.loop_start()
        assert self.ready.wait(PATIENCE), "no CONNACK"

    def on_connect(self, _client, _userdata, _flags, reason, _properties):
        assert not reason.is_failure, reason
        self.ready.set()

    def subscribe(self, filter, qos):
        self.subscribed.clear()
        self.client.subscribe(f"{PREFIX}/{filter}", qos)
        assert self.subscribed.wait(PATIENCE), "no SUBACK"

    def publish(self, topic, text, qos, retain=False):
        self.client.publish(f"{PREFIX}/{topic}", text, qos, retain).wait_for_publish(PATIENCE)

    def expect(self, topic, text, qos, retain):
        got = self.received.get(timeout=PATIENCE)
        found = (got.topic, got.payload.decode(), got.qos, bool(got.retain))
        assert found == (f"{PREFIX}/{topic}", text, qos, retain), found

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def every_qos():
    client = Client("both")
    for qos in (0, 1, 2):
        client.subscribe("n/+", qos)
        for number in range(COUNT):
            client.publish("n/ä", str(number), qos)
        for number in range(COUNT):
            client.expect("n/ä", str(number), qos, False)
    client.close()


def retained():
    publisher = Client("publisher")
    publisher.publish("last", "value", 1, True)
    subscriber = Client("subscriber")
    subscriber.subscribe("last", 1)
    subscriber.expect("last", "value", 1, True)
    publisher.publish("last", "", 1, True)
    subscriber.expect("last", "", 1, False)
    subscriber.close()
    publisher.close()


def last_will():
    """A second connection with its client id ends the first one without DISCONNECT."""
    watcher = Client("watcher")
    watcher.subscribe("will", 1)
    mortal = Client("mortal", will=f"{PREFIX}/will")
    heir = Client("mortal")
    watcher.expect("will", "gone", 1, False)
    for client in (heir, watcher, mortal):
        client.close()


every_qos()
retained()
last_will()
print("OK")
