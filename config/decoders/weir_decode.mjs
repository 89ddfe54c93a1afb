#!/usr/bin/env node
/*
Reads the batches that weir sends: JSON, SenML and delta, packed with Zstandard or not.

    import { decode, loadDictionaries } from './weir_decode.mjs'
    const dictionaries = loadDictionaries('/usr/share/weir')    // `weir decode --dictionaries DIR` writes them
    for (const record of decode(payload, { dictionaries })) console.log(record.topic, record.time, record.value)

A record is an object with the fields of `weir decode`: topic, time, value, unit, quality, seq, time_quality where the
clock was not synchronised, aggregate where value is a mean, payload or payload_base64 for messages of others, key.
Repeats have the same key. A seq beyond 2^53 loses its last digits.

Packed batches need Node 24.6 or newer, whose zlib has Zstandard with dictionaries. Anywhere else hand in a function:
decode(payload, { dictionaries, unpack: (frame, dictionary) => bytes }), which must bound what it unpacks.

From a shell:  node weir_decode.mjs FILE [DIRECTORY OF DICTIONARIES]
*/

import * as fs from 'node:fs'
import * as path from 'node:path'
import { pathToFileURL } from 'node:url'
import * as zlib from 'node:zlib'

const MOST_UNPACKED = 16 << 20
const MOST_RECORDS = 10_000
const QUALITIES = ['ok', 'suspect', 'stale', 'simulated']
const TIME_QUALITIES = ['synced', 'unsynced', 'corrected']
// Units of SenML, where weir prints them otherwise.
const UNITS = {
  Cel: '°C', Ohm: 'Ω', deg: '°', m2: 'm²', m3: 'm³', 'm/s2': 'm/s²', 'm3/s': 'm³/s', 'W/m2': 'W/m²', 'cd/m2': 'cd/m²',
  'kg/m3': 'kg/m³', 'ug/m3': 'µg/m³', '%RH': '%', '/100': '%', '/1000': '‰', lx: 'lux'
}

/** The dictionaries in a directory, by their numbers. */
export function loadDictionaries (directory) {
  const files = fs.readdirSync(directory).filter(name => /^weir-.*\.zdict$/.test(name))
  const contents = files.map(name => fs.readFileSync(path.join(directory, name)))
  return new Map(contents.map(content => [content.readUInt32LE(4), content]))
}

/** The records of a batch, in order. Throws for anything that is none. */
export function decode (payload, { dictionaries = new Map(), unpack = unpackWithZlib } = {}) {
  let bytes = Buffer.from(payload)
  if (bytes.length >= 6 && bytes.readUInt32LE(0) === 0xfd2fb528) bytes = Buffer.from(unpacked(bytes, dictionaries, unpack))
  if (bytes.length > MOST_UNPACKED) throw new Error('too large')
  if (bytes.length > 0 && bytes[0] >= 0x80 && bytes[0] <= 0x9f) return delta(new Cbor(bytes))
  const read = JSON.parse(bytes.toString())
  if (typeof read !== 'object' || read === null) throw new Error('this is no batch')
  const records = Array.isArray(read) ? read : [read]
  if (records.length > MOST_RECORDS) throw new Error('too many records')
  const first = records[0] ?? {}
  return 'n' in first || 'bn' in first ? senml(records) : json(records)
}

function unpackWithZlib (frame, dictionary) {
  if (!zlib.zstdDecompressSync) throw new Error('this Node has no Zstandard: hand in `unpack`')
  return zlib.zstdDecompressSync(frame, { dictionary, maxOutputLength: MOST_UNPACKED })
}

function unpacked (frame, dictionaries, unpack) {
  // RFC 8878 section 3.1.1.1: the dictionary's number is behind the window descriptor, if there is one.
  const descriptor = frame[4]
  const [at, size] = [descriptor & 0x20 ? 5 : 6, [0, 1, 2, 4][descriptor & 3]]
  const number = size > 0 ? frame.readUIntLE(at, size) : 0
  if (number !== 0 && !dictionaries.has(number)) throw new Error(`packed with the dictionary ${number}, which is not here`)
  return unpack(frame, dictionaries.get(number))
}

const time = ms => new Date(Number(ms)).toISOString()

/** A key is written where it is not the one before, counted up. */
class Keys {
  next (written) {
    if (written !== undefined) {
      this.last = written
    } else if (this.last !== undefined) {
      const slash = this.last.lastIndexOf('/') + 1
      this.last = this.last.slice(0, slash) + (BigInt(this.last.slice(slash)) + 1n)
    }
    return this.last === undefined ? {} : { key: this.last }
  }
}

function json (objects) {
  const keys = new Keys()
  return objects.map(record => ({ ...record, ...keys.next(record.key) }))
}

/** RFC 8428, and what weir writes beside it. */
function senml (records) {
  const base = { bn: '', bt: 0, bu: '', bv: 0 }
  const keys = new Keys()
  return records.map(record => {
    for (const field of Object.keys(base)) base[field] = record[field] ?? base[field]
    const out = { topic: record.topic ?? base.bn + (record.n ?? '') }
    const ms = Math.round(base.bt * 1000) + Math.round((record.t ?? 0) * 1000)
    // Below, it would be relative to now.
    if (ms >= 1000 * 2 ** 28) out.time = time(ms)
    if (record.vs !== undefined) {
      out.payload = record.vs
    } else if (record.vd !== undefined) {
      Object.assign(out, foreign(Buffer.from(record.vd, 'base64url')))
    } else if (record.vb !== undefined) {
      out.payload = String(record.vb)
    } else {
      const unit = record.u ?? base.bu
      out.value = record.v === undefined ? null : record.v + base.bv
      Object.assign(out, { unit: UNITS[unit] ?? unit, quality: record.quality ?? 'ok' })
      if (record.seq !== undefined) out.seq = record.seq
      const { min = null, max = null, count, over_ms } = record // eslint-disable-line camelcase
      if (count !== undefined) out.aggregate = { min, max, count, over_ms }
    }
    if (record.time_quality !== undefined) out.time_quality = record.time_quality
    return { ...out, ...keys.next(record.key) }
  })
}

function foreign (content) {
  if (typeof content === 'string') return { payload: content }
  try {
    return { payload: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content) }
  } catch {
    return { payload_base64: content.toString('base64url') }
  }
}

/** The part of RFC 8949 that delta batches are made of. */
class Cbor {
  constructor (content) {
    this.content = content
    this.at = 0
  }

  take (size) {
    const part = this.content.subarray(this.at, this.at + size)
    if (part.length < size) throw new Error('damaged batch: it ends too early')
    this.at += size
    return part
  }

  /** An integer (a BigInt), bytes or text; an array as its length, whose items follow. */
  item () {
    const first = this.take(1)[0]
    const kind = first >> 5
    let number = BigInt(first & 31)
    if (number >= 24n) {
      if (number > 27n) throw new Error('damaged batch: no such CBOR item')
      const bytes = this.take(1 << Number(number - 24n))
      number = bytes.reduce((sum, byte) => sum << 8n | BigInt(byte), 0n)
    }
    if (kind === 1) return -1n - number
    if (kind === 2) return this.take(Number(number))
    if (kind === 3) return this.take(Number(number)).toString()
    if (kind !== 0 && kind !== 4) throw new Error('damaged batch: no such CBOR item')
    return number
  }

  items () {
    const items = []
    for (let left = this.item(); left > 0n; left--) items.push(this.item())
    return items
  }
}

/** Varints one behind the other; zeros behind the end. */
class Column {
  constructor (content) {
    this.content = content
    this.at = 0
  }

  unsigned () {
    let number = 0n
    for (let shift = 0n; this.at < this.content.length; shift += 7n) {
      const byte = this.content[this.at++]
      number |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return number
    }
    return number
  }

  signed () {
    const number = this.unsigned()
    return (number >> 1n) ^ -(number & 1n)
  }

  double () {
    const value = this.content.readDoubleBE(this.at)
    this.at += 8
    return Number.isNaN(value) ? null : value
  }
}

/** Arithmetic is modulo 2^64. */
const wrapped = number => BigInt.asIntN(64, number)

/** What columns and predictions know so far; the format is described in weir's `format::batch::delta`. */
class Delta {
  constructor (base, columns, payloads) {
    [this.order, this.times, this.values, this.states, this.numbers] = columns.map(content => new Column(content))
    Object.assign(this, { payloads, followers: [], unseen: 0, last: undefined })
    Object.assign(this, { clocks: [], before: [base, undefined], interval: 0n })
    Object.assign(this, { counts: [], count: 0n, scaled: [], state: 0n, left: 0n })
  }

  place () {
    const said = Number(this.order.unsigned())
    const place = said > 0 ? said - 1 : this.followers[this.last] ?? this.unseen
    if (this.last !== undefined) this.followers[this.last] = place
    this.unseen = Math.max(this.unseen, place + 1)
    this.last = place
    return place
  }

  time (place) {
    const [time, was] = this.before
    const clock = this.clocks[place]
    const same = clock === undefined || (was !== undefined && clock[0] === was[0] && clock[1] === was[1])
    const foreseen = same ? time : clock[0] + (clock[1] ?? this.interval)
    const now = wrapped(foreseen + this.times.signed())
    const interval = clock === undefined ? undefined : wrapped(now - clock[0])
    this.interval = interval ?? this.interval
    this.clocks[place] = [now, interval]
    this.before = [now, clock]
    return now
  }

  number (place) {
    const foreseen = this.counts[place] === undefined ? this.count : this.counts[place] + 1n
    this.count = BigInt.asUintN(64, foreseen + this.numbers.signed())
    this.counts[place] = this.count
    return Number(this.count)
  }

  condition () {
    if (this.left === 0n) {
      const ended = this.states.at >= this.states.content.length
      this.state = ended ? 0n : this.states.unsigned()
      this.left = ended ? -1n : this.states.unsigned()
    }
    this.left--
    const [quality, timeQuality] = [QUALITIES[Number(this.state & 3n)], TIME_QUALITIES[Number(this.state >> 2n)]]
    if (timeQuality === undefined) throw new Error('damaged batch: bad states')
    return [quality, timeQuality]
  }

  reading (place, kind) {
    const mean = (kind >= 16 && kind < 32) || kind === 33
    let values
    if (kind < 32) {
      const value = wrapped((this.scaled[place] ?? 0n) + this.values.signed())
      this.scaled[place] = value
      values = mean ? [value, value - this.values.signed(), value + this.values.signed()] : [value]
      values = values.map(value => Number(wrapped(value)) / 10 ** (kind & 15))
    } else {
      values = mean ? [this.values.double(), this.values.double(), this.values.double()] : [this.values.double()]
    }
    const [value, min, max] = values
    if (!mean) return { value }
    const [count, overMs] = [Number(this.values.unsigned()), Number(this.values.unsigned())]
    return { value, aggregate: { min, max, count, over_ms: overMs } }
  }
}

function delta (cbor) {
  const [places, version] = [cbor.item(), cbor.item()]
  if (version !== 1n || places !== 12n) throw new Error(`version ${version} of the delta format is not known`)
  const [id, chain, runs, fields] = [cbor.item(), cbor.item(), cbor.items(), cbor.items()]
  const store = typeof id === 'string' ? id : id.toString('hex')
  const streams = []
  let topic = Buffer.alloc(0)
  for (let at = 0; at < fields.length; at += 4) {
    topic = Buffer.concat([topic.subarray(0, Number(fields[at])), Buffer.from(fields[at + 1])])
    streams.push({ topic: topic.toString(), unit: fields[at + 2], kind: Number(fields[at + 3]) })
  }
  const base = cbor.item()
  const columns = [cbor.item(), cbor.item(), cbor.item(), cbor.item(), cbor.item()]
  const state = new Delta(base, columns, cbor.items())
  const records = []
  for (let at = 0; at < runs.length; at += 3) {
    for (let sequence = runs[at + 1]; sequence < runs[at + 1] + runs[at + 2]; sequence++) {
      if (records.length === MOST_RECORDS) throw new Error('too many records')
      records.push({ ...row(state, streams), key: `${store}/${runs[at]}/${chain}/${sequence}` })
    }
  }
  return records
}

function row (state, streams) {
  const place = state.place()
  if (streams[place] === undefined) throw new Error('damaged batch: bad order')
  const { topic, unit, kind } = streams[place]
  const out = { topic, time: time(state.time(place)) }
  const [quality, timeQuality] = state.condition()
  if (kind === 48) {
    if (state.payloads.length === 0) throw new Error('damaged batch: bad payloads')
    Object.assign(out, foreign(state.payloads.shift()))
  } else {
    const { value, aggregate } = state.reading(place, kind)
    Object.assign(out, { value, unit, quality, seq: state.number(place) })
    if (aggregate !== undefined) out.aggregate = aggregate
  }
  if (timeQuality !== 'synced') out.time_quality = timeQuality
  return out
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [file, directory] = process.argv.slice(2)
  const dictionaries = directory === undefined ? undefined : loadDictionaries(directory)
  for (const record of decode(fs.readFileSync(file), { dictionaries })) console.log(JSON.stringify(record))
}
