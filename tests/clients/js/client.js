// MQTT.js against the hub: every QoS, retained messages, a will; prints OK, or fails.
// Arguments: URL, MQTT version (4 or 5), file with the authority, prefix of topics and client ids.

const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const { createRequire } = require('node:module')

const [url, version, authority, prefix] = process.argv.slice(2)
const mqtt = createRequire(path.join(process.env.WEIR_TEST_NODE_MODULES, 'x.js'))('mqtt')
const COUNT = 20
const PATIENCE_MS = 15000

class Client {
  static async connect (name, will) {
    const self = new Client()
    self.received = []
    self.client = mqtt.connect(url, {
      clientId: `${prefix}/${name}`,
      protocolVersion: Number(version),
      reconnectPeriod: 0,
      keepalive: 20,
      ca: fs.readFileSync(authority),
      will: will && { topic: `${prefix}/${will}`, payload: 'gone', qos: 1 }
    })
    self.client.on('message', (topic, payload, packet) => {
      self.received.push([topic, payload.toString(), packet.qos, packet.retain])
      if (self.arrived) self.arrived()
    })
    await new Promise((resolve, reject) => self.client.once('connect', resolve).once('error', reject))
    self.client.on('error', () => {})
    return self
  }

  async subscribe (filter, qos) {
    const [granted] = await this.client.subscribeAsync(`${prefix}/${filter}`, { qos })
    assert.strictEqual(granted.qos, qos)
  }

  publish (topic, text, qos, retain = false) {
    return this.client.publishAsync(`${prefix}/${topic}`, text, { qos, retain })
  }

  async expect (topic, ...rest) {
    while (this.received.length === 0) await new Promise((resolve) => { this.arrived = resolve })
    assert.deepStrictEqual(this.received.shift(), [`${prefix}/${topic}`, ...rest])
  }

  close () {
    return this.client.endAsync()
  }
}

async function everyQos () {
  const client = await Client.connect('both')
  for (const qos of [0, 1, 2]) {
    await client.subscribe('n/+', qos)
    const sent = []
    for (let number = 0; number < COUNT; number++) sent.push(client.publish('n/ä', String(number), qos))
    await Promise.all(sent)
    for (let number = 0; number < COUNT; number++) await client.expect('n/ä', String(number), qos, false)
  }
  await client.close()
}

async function retained () {
  const publisher = await Client.connect('publisher')
  await publisher.publish('last', 'value', 1, true)
  const subscriber = await Client.connect('subscriber')
  await subscriber.subscribe('last', 1)
  await subscriber.expect('last', 'value', 1, true)
  await publisher.publish('last', '', 1, true)
  await subscriber.expect('last', '', 1, false)
  await subscriber.close()
  await publisher.close()
}

async function lastWill () {
  const watcher = await Client.connect('watcher')
  await watcher.subscribe('will', 1)
  const mortal = await Client.connect('mortal', 'will')
  mortal.client.stream.destroy()
  await watcher.expect('will', 'gone', 1, false)
  await watcher.close()
}

const late = setTimeout(() => { throw new Error(`${url} ${version}: nothing happens`) }, PATIENCE_MS)
everyQos().then(retained).then(lastWill).then(() => {
  clearTimeout(late)
  console.log('OK')
})
