#!/usr/bin/env python3
"""Reads the batches that weir sends: JSON, SenML and delta, packed with Zstandard or not.

    import weir_decode
    dictionaries = weir_decode.load_dictionaries("/usr/share/weir")   # `weir decode --dictionaries DIR` writes them
    for record in weir_decode.decode(payload, dictionaries):
        print(record["topic"], record["time"], record["value"], record["key"])

A record is a dict with the fields of `weir decode`: topic, time, value, unit, quality, seq, time_quality where the
clock was not synchronised, aggregate where value is a mean, payload or payload_base64 for messages of others, key.
Repeats have the same key. Needs Python 3.9; for packed batches Python 3.14 or the package `zstandard`.

From a shell:  python3 weir_decode.py FILE [DIRECTORY OF DICTIONARIES]
"""

import base64
import datetime
import json
import math
import pathlib
import struct
import sys

MOST_UNPACKED = 16 << 20
MOST_RECORDS = 10_000
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
QUALITIES = ("ok", "suspect", "stale", "simulated")
TIME_QUALITIES = ("synced", "unsynced", "corrected")
UNITS = {  # of SenML, where weir prints them otherwise
    "Cel": "°C", "Ohm": "Ω", "deg": "°", "m2": "m²", "m3": "m³", "m/s2": "m/s²", "m3/s": "m³/s", "W/m2": "W/m²",
    "cd/m2": "cd/m²", "kg/m3": "kg/m³", "ug/m3": "µg/m³", "%RH": "%", "/100": "%", "/1000": "‰", "lx": "lux",
}


def load_dictionaries(directory):
    """The dictionaries in a directory, by their numbers."""
    found = [path.read_bytes() for path in pathlib.Path(directory).glob("weir-*.zdict")]
    return {struct.unpack_from("<I", content, 4)[0]: content for content in found}


def decode(payload, dictionaries=None):
    """The records of a batch, in order. Raises ValueError for anything that is none."""
    payload = bytes(payload)
    if payload.startswith(ZSTD_MAGIC):
        payload = _unpack(payload, dictionaries or {})
    start = payload.lstrip()[:1]
    try:
        if start in (b"[", b"{"):
            records = json.loads(payload)
            records = records if isinstance(records, list) else [records]
            first = records[0] if records else {}
            read = _senml if "n" in first or "bn" in first else _json
            return list(read(records[: MOST_RECORDS + 1]))
        if start and 0x80 <= start[0] <= 0x9F:
            return list(_delta(_Cbor(payload)))
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error, RecursionError) as error:
        raise ValueError(f"damaged batch: {error!r}") from error
    raise ValueError("this is no batch")


def _unpack(frame, dictionaries):
    # RFC 8878 section 3.1.1.1: the dictionary's number is behind the window descriptor, if there is one.
    descriptor = frame[4]
    at, size = (5 if descriptor & 0x20 else 6), (0, 1, 2, 4)[descriptor & 3]
    number = int.from_bytes(frame[at : at + size], "little")
    if number and number not in dictionaries:
        raise ValueError(f"packed with the dictionary {number}, which is not here")
    content = dictionaries.get(number)
    try:
        from compression import zstd
    except ImportError:
        import zstandard

        known = zstandard.ZstdCompressionDict(content) if content else None
        unpack = zstandard.ZstdDecompressor(dict_data=known).decompressobj()
        error = zstandard.ZstdError
        limited = lambda: unpack.decompress(frame)  # bounded below by the announced size
        announced = zstandard.frame_content_size(frame)
        if announced > MOST_UNPACKED or announced < 0:
            raise ValueError("too large, or of unknown size")
    else:
        unpack = zstd.ZstdDecompressor(zstd_dict=zstd.ZstdDict(content) if content else None)
        error = zstd.ZstdError
        limited = lambda: unpack.decompress(frame, max_length=MOST_UNPACKED)
    try:
        return limited()
    except error as why:
        raise ValueError(f"damaged frame: {why}") from why


def _time(ms):
    """Milliseconds since 1970 as RFC 3339."""
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds") + "Z"


class _Keys:
    """A key is written where it is not the one before, counted up."""

    def __init__(self):
        self.last = None

    def next(self, written):
        if written is not None:
            self.last = written
        elif self.last is not None:
            front, _, number = self.last.rpartition("/")
            self.last = f"{front}/{int(number) + 1}"
        return self.last


def _limit(records):
    for count, record in enumerate(records):
        if count == MOST_RECORDS:
            raise ValueError("too many records")
        yield record


def _json(objects):
    keys = _Keys()
    for record in _limit(objects):
        key = keys.next(record.get("key"))
        yield {**record, **({"key": key} if key is not None else {})}


def _senml(records):
    """RFC 8428, and what weir writes beside it."""
    base, keys = {"bn": "", "bt": 0, "bu": "", "bv": 0}, _Keys()
    for record in _limit(records):
        base.update((field, record[field]) for field in base if field in record)
        out = {"topic": record.get("topic", base["bn"] + record.get("n", ""))}
        ms = round(base["bt"] * 1000) + round(record.get("t", 0) * 1000)
        if ms >= 1000 << 28:  # else it would be relative to now
            out["time"] = _time(ms)
        if "vs" in record:
            out["payload"] = record["vs"]
        elif "vd" in record:
            out.update(_payload(base64.urlsafe_b64decode(record["vd"] + "=" * (-len(record["vd"]) % 4))))
        elif "vb" in record:
            out["payload"] = "true" if record["vb"] else "false"
        else:
            unit = record.get("u", base["bu"])
            out["value"] = record["v"] + base["bv"] if "v" in record else None
            out["unit"], out["quality"] = UNITS.get(unit, unit), record.get("quality", "ok")
            if "seq" in record:
                out["seq"] = record["seq"]
            if "count" in record:
                out["aggregate"] = {name: record.get(name) for name in ("min", "max", "count", "over_ms")}
        if "time_quality" in record:
            out["time_quality"] = record["time_quality"]
        key = keys.next(record.get("key"))
        yield {**out, **({"key": key} if key is not None else {})}


def _payload(content):
    if isinstance(content, str):
        return {"payload": content}
    try:
        return {"payload": content.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.urlsafe_b64encode(content).decode().rstrip("=")}


class _Cbor:
    """The part of RFC 8949 that delta batches are made of."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def take(self, size):
        part = self.content[self.at : self.at + size]
        if len(part) < size:
            raise ValueError("damaged batch: it ends too early")
        self.at += size
        return part

    def item(self):
        """An integer, bytes or text; an array as its length, whose items follow."""
        first = self.take(1)[0]
        kind, number = first >> 5, first & 31
        if number >= 24:
            if number > 27:
                raise ValueError("damaged batch: no such CBOR item")
            number = int.from_bytes(self.take(1 << (number - 24)), "big")
        if kind == 1:
            return -1 - number
        if kind in (2, 3):
            content = self.take(number)
            return content if kind == 2 else content.decode()
        if kind not in (0, 4):
            raise ValueError("damaged batch: no such CBOR item")
        return number

    def items(self):
        return [self.item() for _ in range(self.item())]


class _Column:
    """Varints one behind the other; zeros behind the end."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def unsigned(self):
        number = shift = 0
        while self.at < len(self.content):
            byte = self.content[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number
        if shift:
            raise ValueError("damaged batch: a column ends too early")
        return 0

    def signed(self):
        number = self.unsigned()
        return (number >> 1) ^ -(number & 1)

    def double(self):
        value = struct.unpack_from(">d", self.content, self.at)[0]
        self.at += 8
        return None if math.isnan(value) else value


def _wrapped(number):
    """Arithmetic is modulo 2^64."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


class _Delta:
    """What columns and predictions know so far; the format is described in weir's `format::batch::delta`."""

    def __init__(self, streams, base, columns, payloads):
        self.streams, self.payloads = streams, payloads
        self.order, self.times, self.values, self.states, self.numbers = map(_Column, columns)
        self.followers, self.unseen, self.last = {}, 0, None
        self.clocks, self.before, self.interval = {}, (base, None), 0
        self.counts, self.count = {}, 0
        self.scaled, self.state, self.left = {}, 0, 0

    def place(self):
        place = self.order.unsigned()
        place = place - 1 if place else self.followers.get(self.last, self.unseen)
        self.followers[self.last] = place
        self.unseen, self.last = max(self.unseen, place + 1), place
        return place

    def time(self, place):
        (time, was), clock = self.before, self.clocks.get(place)
        if clock is None or clock == was:
            foreseen = time
        else:
            foreseen = clock[0] + (self.interval if clock[1] is None else clock[1])
        now = _wrapped(foreseen + self.times.signed())
        interval = None if clock is None else _wrapped(now - clock[0])
        self.interval = self.interval if interval is None else interval
        self.clocks[place], self.before = (now, interval), (now, clock)
        return now

    def number(self, place):
        foreseen = self.counts[place] + 1 if place in self.counts else self.count
        self.count = self.counts[place] = (foreseen + self.numbers.signed()) % (1 << 64)
        return self.count

    def condition(self):
        if not self.left:
            ended = self.states.at >= len(self.states.content)
            self.state, self.left = (0, math.inf) if ended else (self.states.unsigned(), self.states.unsigned())
        self.left -= 1
        return QUALITIES[self.state & 3], TIME_QUALITIES[self.state >> 2]

    def difference(self, place):
        self.scaled[place] = _wrapped(self.scaled.get(place, 0) + self.values.signed())
        return self.scaled[place]

    def reading(self, place, kind):
        mean = 16 <= kind < 32 or kind == 33
        if kind < 32:
            value = self.difference(place)
            values = [value, value - self.values.signed(), value + self.values.signed()] if mean else [value]
            values = [_wrapped(value) / 10 ** (kind & 15) if kind & 15 else _wrapped(value) for value in values]
        else:
            values = [self.values.double() for _ in range(3 if mean else 1)]
        aggregate = {}
        if mean:
            spread = {"min": values[1], "max": values[2]}
            aggregate = {"aggregate": {**spread, "count": self.values.unsigned(), "over_ms": self.values.unsigned()}}
        return values[0], aggregate


def _delta(cbor):
    places, version = cbor.item(), cbor.item()
    if version != 1 or places != 12:
        raise ValueError(f"version {version} of the delta format is not known")
    store, chain, runs = cbor.item(), cbor.item(), cbor.items()
    store = store if isinstance(store, str) else store.hex()
    streams, fields, topic = [], cbor.items(), b""
    for shared, rest, unit, kind in zip(*[iter(fields)] * 4):
        topic = topic[:shared] + rest.encode()
        streams.append((topic.decode(), unit, kind))
    base = cbor.item()
    state = _Delta(streams, base, [cbor.item() for _ in range(5)], iter(cbor.items()))
    keys = ((start, first + at) for start, first, count in zip(*[iter(runs)] * 3) for at in range(count))
    for start, sequence in _limit(keys):
        place = state.place()
        topic, unit, kind = streams[place]
        ms, (quality, time_quality) = state.time(place), state.condition()
        out = {"topic": topic, "time": _time(ms)}
        if kind == 48:
            out.update(_payload(next(state.payloads)))
        else:
            out["value"], aggregate = state.reading(place, kind)
            out.update(unit=unit, quality=quality, seq=state.number(place), **aggregate)
        if time_quality != "synced":
            out["time_quality"] = time_quality
        yield {**out, "key": f"{store}/{start}/{chain}/{sequence}"}


if __name__ == "__main__":
    given = load_dictionaries(sys.argv[2]) if len(sys.argv) > 2 else None
    with open(sys.argv[1], "rb") as file:
        for line in decode(file.read(), given):
            print(json.dumps(line, ensure_ascii=False))
