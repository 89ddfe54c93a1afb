"""gmqtt, an independent client on asyncio, against the hub: every QoS, retained messages, a will; prints OK, or raises.

Arguments: URL (mqtt or mqtts), MQTT version (4 or 5), file with the authority, prefix of topics and client ids."""

import asyncio
import ssl
import sys
from urllib.parse import urlsplit

import gmqtt

URL, VERSION, AUTHORITY, PREFIX = urlsplit(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
PATIENCE = 15
COUNT = 20


class Client:
    async def connect(self, name, will=None):
        self.received, self.acknowledged = asyncio.Queue(), asyncio.Event()
        message = gmqtt.Message(f"{PREFIX}/{will}", "gone", qos=1) if will else None
        self.client = gmqtt.Client(f"{PREFIX}/{name}", will_message=message)
        self.client.set_config({"reconnect_retries": 0, "reconnect_delay": 0})
        self.client.on_message = self.on_message
        self.client.on_subscribe = lambda *_: self.acknowledged.set()
        context = ssl.create_default_context(cafile=AUTHORITY) if URL.scheme == "mqtts" else False
        connecting = self.client.connect(URL.hostname, URL.port, ssl=context, keepalive=20, version=VERSION)
        await asyncio.wait_for(connecting, PATIENCE)
        return self

    async def on_message(self, _client, topic, payload, qos, properties):
        await self.received.put((topic, payload.decode(), qos, bool(properties["retain"])))
        return gmqtt.constants.PubRecReasonCode.SUCCESS

    async def subscribe(self, filter, qos):
        self.acknowledged.clear()
        self.client.subscribe(f"{PREFIX}/{filter}", qos=qos)
        await asyncio.wait_for(self.acknowledged.wait(), PATIENCE)

    def publish(self, topic, text, qos, retain=False):
        self.client.publish(f"{PREFIX}/{topic}", text, qos=qos, retain=retain)

    async def close(self):
        try:
            await self.client.disconnect()
        except ssl.SSLError as error:
            # asyncio does not like that the hub still had something to say.
            assert "APPLICATION_DATA_AFTER_CLOSE_NOTIFY" in str(error), error

    async def expect(self, topic, text, qos, retain):
        found = await asyncio.wait_for(self.received.get(), PATIENCE)
        assert found == (f"{PREFIX}/{topic}", text, qos, retain), found


async def every_qos():
    client = await Client().connect("both")
    for qos in (0, 1, 2):
        await client.subscribe("n/+", qos)
        for number in range(COUNT):
            client.publish("n/ä", str(number), qos)
        for number in range(COUNT):
            await client.expect("n/ä", str(number), qos, False)
    await client.close()


async def retained():
    publisher = await Client().connect("publisher")
    watcher = await Client().connect("watcher")
    await watcher.subscribe("last", 1)
    publisher.publish("last", "value", 1, True)
    # Now the hub has it.
    await watcher.expect("last", "value", 1, False)
    subscriber = await Client().connect("subscriber")
    await subscriber.subscribe("last", 1)
    await subscriber.expect("last", "value", 1, True)
    publisher.publish("last", "", 1, True)
    await subscriber.expect("last", "", 1, False)
    for client in (subscriber, publisher, watcher):
        await client.close()


async def last_will():
    """A second connection with its client id ends the first one without DISCONNECT."""
    watcher = await Client().connect("watcher")
    await watcher.subscribe("will", 1)
    await Client().connect("mortal", will="will")
    heir = await Client().connect("mortal")
    await watcher.expect("will", "gone", 1, False)
    for client in (heir, watcher):
        await client.close()


async def main():
    await every_qos()
    await retained()
    await last_will()


asyncio.run(main())
print("OK")
