#!/usr/bin/env python3
"""Boots the emulated Pi once and runs every check in it: run.py PACKAGES BOOT PROGRAM. `scripts/pi` calls it."""

import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True

import checks
import cloud
import looks
import machine
import mqtt
import stage

NOT_COVERED = """edges of the Pi's own GPIO block (QEMU has none; they come from the kernel's gpio-sim), 1-Wire, SPI,
the watchdog, real bus timing, Raspberry Pi OS's kernel, Pi 4 and 5, changing values of the DPS310"""


def all_checks(check, look, connect):
    yield "weir scan", look.scan_names_chips
    yield "weir doctor", lambda: look.doctor_says(looks.BEFORE)
    yield "start with a clock in the past", lambda: check.starts_and_reads(connect)
    yield "clock set later", check.clock_is_set_later
    yield "TMP105", lambda: check.chip_follows("t105", "temperature", "board/temperature", [21.5, -10.25, 60.0], 0.0625)
    yield "TMP421 local", lambda: check.chip_follows("t421", "temperature0", "diode/temperature", [33.5, -20.25], 0.0625)
    yield "TMP421 remote", lambda: check.chip_follows("t421", "temperature1", "diode/remote_1", [71.75, -39.5], 0.0625)
    for channel, measure in enumerate(["temperature", "external_1", "external_2"]):
        yield f"EMC1413 {measure}", lambda channel=channel, measure=measure: check.chip_follows(
            "t1413", f"temperature{channel}", f"zones/{measure}", [25 + channel, 100 + channel], 0)
    yield "DPS310", check.dps310_compensates
    yield "absent chip", check.absent_chip_is_told
    yield "weir doctor, a chip away", lambda: look.doctor_says(looks.RUNNING)
    yield "serial sensor", check.serial_sensor_is_heard
    yield "GPIO output", check.output_obeys
    yield "GPIO input, level", lambda: check.input_is_seen(1)
    yield "GPIO input, edges", check.edges_are_counted
    yield "outage, and killed in it", check.outage_loses_nothing
    yield "GPIO input, changed", lambda: check.input_is_seen(0)
    yield "memory", check.memory
    yield "clean stop", check.stops_cleanly


def run(pi, its_cloud):
    uptime_s = pi.console.until(r"weir-pi is up after ([\d.]+) s").group(1).decode()
    say("boot", f"{time.monotonic() - pi.began:.1f} s here, {uptime_s} s inside, {pi.processor_s():.1f} s of processor time")
    check, failed = checks.Checks(pi, its_cloud), []
    for name, what in all_checks(check, looks.Looks(pi), lambda: mqtt.Client(pi.hub_port(), "watcher", ["pi/#"]).ready()):
        try:
            say(name, what())
        except Exception as error:
            failed.append(name)
            say(name, f"FAILED: {error}")
            traceback.print_exc()
            if check.hub is None and "start" in name:
                break
    if failed:
        print(pi.shell("tail -n 30 /tmp/weir.log", may_fail=True))
    return failed


def say(name, what):
    print(f"  {name:<32}{what}", flush=True)


def main():
    packages, boot, program = map(pathlib.Path, sys.argv[1:4])
    # So that emulator and broker end with it, whatever ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    folder, began = pathlib.Path(tempfile.mkdtemp(prefix="weir-pi-")), time.monotonic()
    (folder / "cloud").mkdir()
    its_cloud, pi, failed = cloud.Cloud(folder / "cloud"), None, ["boot"]
    try:
        stage.initramfs(boot, folder / "initramfs", {
            "init": (stage.HERE / "init").read_bytes(), "bin/weir": program.read_bytes(),
            "etc/weir/weir.toml": its_cloud.configuration()})
        pi = machine.Machine(packages, boot, folder)
        failed = run(pi, its_cloud)
    finally:
        its_cloud.close()
        if pi:
            pi.stop()
        if failed:
            print(f"what QEMU, console and broker said is in {folder}")
        else:
            shutil.rmtree(folder)
    print(f"  not covered: {' '.join(NOT_COVERED.split())}")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
