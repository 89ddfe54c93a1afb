"""What must be true of weir on the emulated Pi. Each check says what it saw, or raises."""

import re
import time

import books
import machine
from books import is_reading, wall_s

SENSORS = ["board/temperature", "diode/temperature", "diode/remote_1", "zones/temperature", "zones/external_1",
           "zones/external_2", "air/temperature", "air/pressure"]
# The clock inside is that far behind until the test sets it.
BEHIND_S = 150 * 86400


class Checks:
    def __init__(self, pi, cloud):
        self.pi, self.cloud, self.hub = pi, cloud, None
        self.at_cloud = cloud.listener

    # --- before the clock is set

    def starts_and_reads(self, connect):
        """weir starts with a clock months in the past; local clients have every reading at once."""
        self.pi.drive(22, True)
        now = time.time() - BEHIND_S
        # As on a Pi: the clock goes on from where it was saved, and the time service has not yet answered.
        self.pi.shell(f"date -u -s @{int(now)} >/dev/null; mkdir -p /run/systemd/timesync")
        began = self.start_weir()
        self.hub = connect()
        first = self.hub.wait("a reading of each chip", self.first_readings)
        self.start_s = min(wall_s(message.reading["time"]) for message in first) - began
        for message in first:
            assert message.reading["time_quality"] == "unsynced", message.payload
            assert abs(wall_s(message.reading["time"]) - (time.time() - BEHIND_S)) < 3600, message.payload
        return f"{len(SENSORS)} measures, the first {self.start_s:.2f} s after the start"

    def start_weir(self):
        """Starts it and returns the time inside."""
        self.pi.shell("weir run --config /etc/weir/weir.toml >>/tmp/weir.log 2>&1 & echo $! >/run/weir.pid")
        return float(self.pi.shell("stat -c %Y /run/weir.pid"))

    def end_weir(self, signal):
        """Ends it and returns its exit status."""
        said = self.pi.shell(f"kill -{signal} $(cat /run/weir.pid); wait $(cat /run/weir.pid); echo ended=$?")
        return int(re.search(r"ended=(\d+)", said).group(1))

    def kill_weir(self):
        """Ends it by force, and notes when."""
        now = self.pi.shell("now=$(adjtimex); kill -KILL $(cat /run/weir.pid); echo $now; ! wait $(cat /run/weir.pid)")
        seconds, microseconds = re.search(r"tv_sec: +(\d+).*tv_usec: +(\d+)", now, re.S).groups()
        return books.Run(self.hub.messages, int(seconds) + int(microseconds) / 1e6)

    def first_readings(self):
        found = [self.hub.on(f"pi/{sensor}") for sensor in SENSORS]
        return all(found) and [messages[0] for messages in found]

    def clock_is_set_later(self):
        """Nothing goes to the cloud before the clock is set; then everything, with the time it was really taken at."""
        seen = len(self.hub.messages)
        self.hub.wait("five more", lambda: len(self.hub.on("pi/board/temperature", seen)) >= 5)
        early = {message.topic: message.payload for message in self.at_cloud.messages if is_reading(message)}
        assert not early, f"left before the clock was set: {early}"
        before = self.hub.on("pi/board/temperature")
        self.pi.shell(f"date -u -s @{time.time():.0f} >/dev/null; touch /run/systemd/timesync/synchronized")
        last = before[-1].reading["seq"]
        topic = "sites/pi/board/temperature"
        self.at_cloud.wait("what was read before", lambda: self.sequences(self.at_cloud, topic) >= set(range(1, last + 1)))
        for message, seen_at in zip(self.at_cloud.on(topic), before):
            late_s = seen_at.at - wall_s(message.reading["time"])
            assert message.reading["time_quality"] == "corrected", message.payload
            assert -5 < late_s < 60, f"{message.payload} was seen {late_s:.1f} s later"
        return f"{last} readings waited and left with corrected time"

    # --- chips

    def chip_follows(self, chip, quantity, sensor, temperatures, step):
        """Temperatures are changed from outside and read at the cloud."""
        for celsius in temperatures:
            since = len(self.at_cloud.messages)
            self.pi.temperature(chip, celsius, quantity)
            self.at_cloud.wait(f"{sensor} at {celsius}", lambda: any(
                abs(message.reading["value"] - celsius) <= step and message.reading["quality"] == "ok"
                for message in self.at_cloud.on(f"sites/pi/{sensor}", since)))
        return f"{sensor} at " + ", ".join(map(str, temperatures)) + " °C"

    def dps310_compensates(self):
        """QEMU's model cannot be changed from outside: its calibration and raw numbers, those of a real chip, must give
        what the data sheet's formulas give by hand."""
        for sensor, value in (("air/temperature", 24.74), ("air/pressure", 929.46)):
            got = self.at_cloud.on(f"sites/pi/{sensor}")[-1].reading
            assert abs(got["value"] - value) <= 0.006, f"{sensor}: {got}"
        return "24.74 °C and 929.46 hPa"

    def absent_chip_is_told(self):
        """An address where nothing answers becomes a health state, and the others do not mind."""
        def dead():
            states = [message.reading for message in self.at_cloud.on("sites/pi/absent/status")]
            return [state for state in states if state["state"] == "dead"]
        state = self.at_cloud.wait("absent is dead", dead)[-1]
        assert state["reason"] == "nack", state
        return f"dead, {state['reason']}: {state['detail']}"

    # --- serial port and GPIO

    def serial_sensor_is_heard(self):
        """Lines on the PL011 that come from outside."""
        for temperature, humidity in ((21.5, 40.0), (-3.5, 81.5)):
            since = len(self.at_cloud.messages)
            # The first line after opening is not believed, as its beginning may have been missed.
            self.pi.serial.send(f"\r\nT={temperature} H={humidity}\r\n")
            for measure, value in (("temperature", temperature), ("humidity", humidity)):
                self.at_cloud.wait(f"barn/{measure}", lambda: any(
                    message.reading["value"] == value for message in self.at_cloud.on(f"sites/pi/barn/{measure}", since)))
        return "two lines, four readings"

    def output_obeys(self):
        """An MQTT command moves a pin of the GPIO block, seen from outside."""
        assert self.pi.register(machine.FUNCTION_1) >> 21 & 7 == 1, "GPIO17 is no output"
        for word, level in (("on", 1), ("off", 0), ("on", 1)):
            since = len(self.hub.messages)
            self.hub.publish("pi/cmd/lamp/set", word)
            self.hub.wait(f"lamp {word}", lambda: any(
                message.reading["state"] == word for message in self.hub.on("pi/lamp/state", since)))
            assert self.pi.pin(17) == level, f"{word}: GPIO17 is {self.pi.pin(17)}"
        return "on, off, on"

    def input_is_seen(self, level):
        """The level that the wire had when the line was opened."""
        last = self.at_cloud.wait("wire/level", lambda: self.at_cloud.on("sites/pi/wire/level"))[-1]
        assert last.reading["value"] == level, last.payload
        return f"GPIO22 is {level}"

    def edges_are_counted(self):
        """Edges of a simulated line, through the kernel's character device."""
        line = "/sys/devices/platform/gpio-sim.0/gpiochip*/sim_gpio3/pull"
        count = self.at_cloud.wait("door/count", lambda: self.at_cloud.on("sites/pi/door/count"))[-1].reading["value"]
        for pull, level in (("up", 1), ("down", 0), ("up", 1)):
            count += 1
            self.pi.shell(f"for line in {line}; do echo pull-{pull} >$line; done")
            for measure, value in (("level", level), ("count", count)):
                self.at_cloud.wait(f"door/{measure} {value}", lambda: self.at_cloud.on(
                    f"sites/pi/door/{measure}")[-1].reading["value"] == value)
        return "up, down, up"

    # --- outages

    def outage_loses_nothing(self):
        """The cloud's broker is stopped and started; in between weir is killed and started again."""
        self.cloud.stop()
        self.hub.wait("the bridge is down", lambda: self.bridge_is("down"))
        self.read_more(10)
        self.pi.drive(22, False)
        connections = self.hub.connections
        killed = self.kill_weir()
        self.start_weir()
        self.hub.wait("the hub is back", lambda: self.hub.connections > connections and self.hub.socket)
        self.read_more(10)
        self.cloud.start()
        return books.everything_arrives(self.at_cloud, books.readings(self.hub.messages), [killed])

    def read_more(self, count):
        since = len(self.hub.messages)
        self.hub.wait("more readings", lambda: all(
            len([m for m in self.hub.on(f"pi/{sensor}", since) if not m.retained]) >= count for sensor in SENSORS))

    def bridge_is(self, state):
        told = self.hub.on("pi/bridge/cloud/status")
        return told and told[-1].reading["state"] == state

    @staticmethod
    def sequences(client, topic):
        return {message.reading["seq"] for message in client.on(topic)}

    # --- the end

    def memory(self):
        """What weir needs inside."""
        status = self.pi.shell("cat /proc/$(cat /run/weir.pid)/status")
        fields = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Vm"))
        self.resident_kib, self.highest_kib = (int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM"))
        assert self.highest_kib < 64 * 1024, f"{self.highest_kib} KiB"
        return f"{self.resident_kib / 1024:.1f} MiB now, {self.highest_kib / 1024:.1f} MiB at most"

    def stops_cleanly(self):
        """SIGTERM sets outputs to their state at boot and ends well."""
        self.hub.publish("pi/cmd/lamp/set", "on")
        since = len(self.hub.messages)
        self.hub.wait("lamp on", lambda: self.pi.pin(17) == 1 or self.hub.on("pi/lamp/state", since))
        assert self.end_weir("TERM") == 0
        assert self.pi.pin(17) == 0, "the lamp is still on"
        return "GPIO17 is low again"
