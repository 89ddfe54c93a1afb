#!/usr/bin/env python3
"""The whole system: Debian with systemd on the card of the emulated Pi, the package installed there, three power cuts
in an outage: card.py PACKAGES BOOT IMAGE DEB. `scripts/pi-card` calls it."""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True

import books
import checks
import cloud
import machine
import mqtt
import stage

CUTS = 3
# The clock is set as a time service would set it. The watchdog's driver is not there, see stage.py. What is masked has
# nothing to do on a card without its packages' data, is done in minutes here, or would wait for somebody at the keyboard.
MASKED = ["serial-getty@ttyS1.service", "getty.target", "systemd-firstboot.service", "systemd-hwdb-update.service",
          "systemd-journal-catalog-update.service", "ldconfig.service"]
COMMAND_LINE = ("console=ttyS1,115200 rdinit=/init panic=5 oops=panic loglevel=3 quiet deferred_probe_timeout=1 audit=0 "
                "net.ifnames=0 systemd.default_device_timeout_sec=900 systemd.default_timeout_start_sec=900 "
                "systemd.debug_shell=1 systemd.default_debug_tty=ttyS1 systemd.show_status=0 "
                + " ".join(f"systemd.mask={unit}" for unit in MASKED) + " systemd.clock_usec={}")
PROMPT = r"root@pi:[^\r\n]*# "
COUNTED = "field/count"
# On a USB adapter that is not there when weir starts.
ADAPTER = b"""
[[sensor]]
name   = "adapter"
driver = "serial-line"
[sensor.options]
port     = "/dev/ttyUSB0"
regex    = 'T=(?<temperature>\\S+)'
measures = { temperature = { unit = "C", decimals = 1 } }
"""


class Counter(threading.Thread):
    """A device in the field: publishes one number after the other, and remembers which were acknowledged."""

    def __init__(self, hub, first):
        super().__init__(daemon=True)
        self.hub, self.next, self.acknowledged = hub, first, []
        self.start()

    def run(self):
        while self.hub.confirm(COUNTED, str(self.next)):
            self.acknowledged.append(self.next)
            self.next += 1


class System:
    def __init__(self, packages, boot, folder, its_cloud):
        self.packages, self.boot, self.folder, self.cloud = packages, boot, folder, its_cloud
        self.pi, self.hub, self.counter = None, None, None
        self.seen, self.runs, self.acknowledged, self.boots_s = set(), [], [], []

    def insert(self, image, package):
        """The card, and beside the kernel what somebody would copy to it."""
        subprocess.run(["cp", "--sparse=always", str(image), str(self.folder / "card")], check=True)
        stage.initramfs(self.boot, self.folder / "initramfs", {
            "init": (stage.HERE / "init-card").read_bytes(), "weir.deb": package.read_bytes(),
            "weir.toml": self.cloud.configuration() + ADAPTER})

    def power_on(self):
        # What a card has said is written, is written: QEMU has handed it to this machine's kernel, which outlives it.
        adapter = self.folder / "adapter"
        adapter.unlink(missing_ok=True)
        self.pi = machine.Machine(self.packages, self.boot, self.folder,
                                  f"-drive file={self.folder}/card,if=sd,format=raw,cache=writeback "
                                  f"-chardev socket,id=adapter,path={adapter},server=on,wait=off "
                                  "-device usb-serial,chardev=adapter",
                                  COMMAND_LINE.format(int(time.time() * 1e6)), "card")

    def power_off(self):
        """As a cable that is pulled."""
        ended_at = time.time()
        self.pi.stop()
        self.counter.join(60)
        assert not self.counter.is_alive(), "the connection to a machine without power goes on"
        self.hub.close()
        self.acknowledged += self.counter.acknowledged
        self.runs.append(books.Run(self.hub.messages, ended_at - books.behind_s(self.hub.messages)))
        self.seen |= self.runs[-1].seen

    def comes_up(self):
        """Nobody touches anything: the hub is there, and every chip is read."""
        # The port inside is asked until somebody is there.
        self.hub = mqtt.Client(self.pi.hub_port(), "watcher", ["pi/#"]).ready()
        self.reads_more(1)
        self.boots_s.append(time.monotonic() - self.pi.began)
        self.counter = Counter(mqtt.Client(self.pi.hub_port()).ready(), self.counter.next + 1 if self.counter else 0)
        return self.boots_s[-1]

    def reads_more(self, count):
        since = len(self.hub.messages)
        self.hub.wait("more readings", lambda: all(
            len([m for m in self.hub.on(f"pi/{sensor}", since) if not m.retained]) >= count for sensor in checks.SENSORS))

    def log_in(self):
        self.pi.console.until(PROMPT)
        self.pi.shell("stty -echo; dmesg -n 1; bind 'set enable-bracketed-paste off' 2>/dev/null; PS1=; true")

    # --- what is checked

    def is_installed(self):
        """The package on a running system, as the README says."""
        self.log_in()
        self.pi.shell("systemctl is-system-running --wait", may_fail=True)
        began = time.monotonic()
        # A device that appears in between, when the package's groups are not there yet.
        for step in ("dpkg --unpack /root/weir.deb", "udevadm trigger --settle --subsystem-match=i2c-dev",
                     "dpkg --configure weir"):
            self.pi.shell(f"{step} >/root/log 2>&1 </dev/null || {{ cat /root/log; false; }}")
        took_s = time.monotonic() - began
        self.pi.shell("systemctl is-active weir.service && systemctl is-enabled weir.service")
        self.pi.shell("install -m 644 /root/weir.toml /etc/weir/weir.toml && weir check /etc/weir/weir.toml >/dev/null "
                      "&& systemctl restart weir.service")
        up_s = self.comes_up()
        for sensor in checks.SENSORS:
            self.cloud.listener.wait(sensor, lambda: self.cloud.listener.on(f"sites/pi/{sensor}"))
        return f"in {took_s:.0f} s; {len(checks.SENSORS)} measures {up_s:.0f} s after power"

    def adapter_is_heard(self):
        """While weir runs: the unit's list of devices knows its class, and udev its group."""
        states = lambda: [message.reading["state"] for message in self.hub.on("pi/adapter/status")]
        self.hub.wait("the adapter is away", lambda: states() and states()[-1] != "ok")
        began = time.monotonic()
        # QEMU has it plugged in while somebody is at the other end.
        wire, heard = machine.Line(self.folder / "adapter", self.pi.process), []
        while not heard:
            # Seldom: what nobody takes inside must never fill the way to it.
            wire.send("\r\nT=21.5\r\n")
            heard = self.hub.waits(lambda: self.hub.on("pi/adapter/temperature"), 5)
            assert heard or time.monotonic() - began < machine.PATIENCE_S, f"nothing is heard: {states()}"
        assert heard[0].reading["value"] == 21.5, heard[0].payload
        return f"{time.monotonic() - began:.0f} s after it was plugged in"

    def survives_a_cut(self):
        self.reads_more(5)
        enough = len(self.counter.acknowledged) + 20
        self.hub.wait("acknowledgements", lambda: len(self.counter.acknowledged) >= enough)
        self.power_off()
        self.power_on()
        up_s = self.comes_up()
        return f"{len(self.acknowledged)} messages acknowledged so far; reads again {up_s:.0f} s after power"

    def everything_arrives(self):
        self.reads_more(5)
        self.cloud.start()
        seen = self.seen | books.readings(self.hub.messages)
        said = books.everything_arrives(self.cloud.listener, seen, self.runs)
        missing = lambda: set(self.acknowledged) - {
            int(message.payload) for message in self.cloud.listener.on(f"sites/{COUNTED}")}
        try:
            self.cloud.listener.wait("all numbers", lambda: not missing())
        except TimeoutError:
            raise AssertionError(f"acknowledged and lost: {sorted(missing())}") from None
        return f"{len(self.acknowledged)} acknowledged messages, and {said}"

    def is_well(self):
        """The unit's own limits hold, nothing was restarted, and the memory that systemd counts."""
        self.log_in()
        wanted = ("ActiveState", "NRestarts", "MemoryCurrent", "MemoryPeak")
        said = self.pi.shell(f"systemctl show weir.service -p {','.join(wanted)}")
        state, restarts, now, peak = map(dict(line.split("=", 1) for line in said.splitlines()).get, wanted)
        assert (state, restarts) == ("active", "0"), said
        failed = self.pi.shell("systemctl list-units --state=failed --plain --no-legend")
        assert "weir" not in failed, failed
        return f"{int(now) / 2**20:.1f} MiB now, {int(peak) / 2**20:.1f} MiB at most, with its cache"


def all_checks(system):
    system.power_on()
    yield "package installed", system.is_installed
    yield "serial adapter is plugged in", system.adapter_is_heard
    def outage():
        system.cloud.stop()
        return "the cloud's broker has stopped"
    yield "outage", outage
    for number in range(1, CUTS + 1):
        yield f"power cut {number}", system.survives_a_cut
    yield "end of the outage", system.everything_arrives
    yield "after it all", system.is_well


def run(system):
    """The name of the check that failed, if one did: each builds on those before."""
    for name, what in all_checks(system):
        try:
            print(f"  {name:<32}{what()}", flush=True)
        except Exception as error:
            print(f"  {name:<32}FAILED: {error}", flush=True)
            traceback.print_exc()
            return name
    return ""


def main():
    packages, boot, image, package = map(pathlib.Path, sys.argv[1:5])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    folder, failed = pathlib.Path(tempfile.mkdtemp(prefix="weir-card-")), "start"
    (folder / "cloud").mkdir()
    its_cloud = cloud.Cloud(folder / "cloud")
    system = System(packages, boot, folder, its_cloud)
    try:
        system.insert(image, package)
        failed = run(system)
    finally:
        its_cloud.close()
        if system.pi:
            system.pi.stop()
        if failed:
            print(f"what QEMU, console and broker said is in {folder}")
        else:
            shutil.rmtree(folder)
    sys.exit(f"failed: {failed}" if failed else 0)


if __name__ == "__main__":
    main()
