"""Eclipse Paho against the hub: every QoS in both versions; prints OK, or raises."""

import sys
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT = int(sys.argv[1])
PATIENCE = 15
COUNT = 200


class Client:
    def __init__(self, client_id, protocol, **options):
        self.subscribed = threading.Event()
        self.connected = threading.Event()
        self.received = []
        self.arrived = threading.Condition()
        self.session_present = None
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, **options)
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self.on_message
        self.client.max_inflight_messages_set(20)

    def on_connect(self, _client, _userdata, flags, reason, _properties):
        assert not reason.is_failure, reason
        self.session_present = flags.session_present
        self.connected.set()

    def on_message(self, _client, _userdata, message):
        with self.arrived:
            self.received.append(message)
            self.arrived.notify()

    def connect(self, **options):
        self.connected.clear()
        self.client.connect("127.0.0.1", PORT, keepalive=10, **options)
        self.client.loop_start()
        assert self.connected.wait(PATIENCE), "no CONNACK"
        return self

    def subscribe(self, filter, qos):
        self.subscribed.clear()
        self.client.subscribe(filter, qos)
        assert self.subscribed.wait(PATIENCE), "no SUBACK"

    def wait_for(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, PATIENCE), len(self.received)
            return self.received

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def every_qos(protocol):
    for qos in (0, 1, 2):
        subscriber = Client(f"sub{qos}", protocol).connect()
        subscriber.subscribe("paho/+", qos)
        publisher = Client(f"pub{qos}", protocol).connect()
        sent = [publisher.client.publish("paho/é", str(n), qos) for n in range(COUNT)]
        for info in sent:
            info.wait_for_publish(PATIENCE)
        got = subscriber.wait_for(COUNT)
        assert [m.payload.decode() for m in got] == [str(n) for n in range(COUNT)]
        assert all(m.qos == qos and m.topic == "paho/é" for m in got)
        publisher.close()
        subscriber.close()


def offline(protocol):
    """A kept session gets what it missed, once and in order."""
    if protocol == paho.MQTTv5:
        expiry = Properties(PacketTypes.CONNECT)
        expiry.SessionExpiryInterval = 100
        make, options = lambda: Client(f"sleeper{protocol}", protocol), dict(clean_start=False, properties=expiry)
    else:
        make, options = lambda: Client(f"sleeper{protocol}", protocol, clean_session=False), {}
    sleeper = make().connect(**options)
    assert not sleeper.session_present
    sleeper.subscribe("missed", 2)
    sleeper.close()
    publisher = Client("pub", protocol).connect()
    for n in range(COUNT):
        publisher.client.publish("missed", str(n), 1 + n % 2).wait_for_publish(PATIENCE)
    publisher.close()
    sleeper = make().connect(**options)
    # MQTT 3.1 has no such flag.
    assert sleeper.session_present or protocol == paho.MQTTv31
    got = sleeper.wait_for(COUNT)
    # Paho hands out QoS 2 messages later, at PUBREL: the order holds within each QoS.
    for qos in (1, 2):
        assert [int(m.payload) for m in got if m.qos == qos] == list(range(qos - 1, COUNT, 2))
    sleeper.close()


def properties():
    """What MQTT 5 carries arrives as it was sent."""
    subscriber = Client("sub", paho.MQTTv5).connect()
    subscriber.subscribe("five", 1)
    sent = Properties(PacketTypes.PUBLISH)
    sent.ContentType = "text/plain"
    sent.ResponseTopic = "answer"
    sent.CorrelationData = b"\x00\x01"
    sent.UserProperty = [("k", "1"), ("k", "2")]
    sent.MessageExpiryInterval = 100
    publisher = Client("pub", paho.MQTTv5).connect()
    publisher.client.publish("five", "x", 1, properties=sent).wait_for_publish(PATIENCE)
    got = subscriber.wait_for(1)[0].properties
    for name in ("ContentType", "ResponseTopic", "CorrelationData", "UserProperty"):
        assert getattr(got, name) == getattr(sent, name), name
    assert 80 <= got.MessageExpiryInterval <= 100
    publisher.close()
    subscriber.close()


for version in (paho.MQTTv31, paho.MQTTv311, paho.MQTTv5):
    every_qos(version)
    offline(version)
properties()
print("OK")
