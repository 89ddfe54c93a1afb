"""What `weir scan` and `weir doctor` must say on this board."""

import json

# On i2c-1. A TMP105 has nothing that tells it from an LM75, and QEMU's DPS310 lacks the register with its id.
CHIPS = ["0x18  emc1413", "0x48  looks like lm75 or tmp105", "0x4c  tmp421",
         "0x50  not recognised; usual here: 24C32, 24C256 (memories)",
         "0x68  not recognised; usual here: DS3231, DS1307 (clocks), MPU-6050 (motion), MCP3424 (voltages)",
         "0x76  a multiplexer, such as the TCA9548A: its channels are as they were; no driver here reads it",
         "0x77  not recognised; usual here: MS5611, BMP3xx, DPS310 (pressure), TCA9548A (multiplexer)"]
OTHERS = ["i2c-0 bcm2835 (i2c@7e205000): left alone, it belongs to the camera, the display and the memory of a HAT; "
          "`weir scan i2c-0` looks at it anyhow",
          "i2c-2 bcm2835 (i2c@7e805000): left alone, it leads to a display; `weir scan i2c-2` looks at it anyhow",
          "/dev/ttyAMA0  on the header", "gpiochip0 pinctrl-bcm2835, 54 lines"]
DRIVERS = {"emc1413-18": "emc1413", "lm75-48": "lm75", "tmp421-4c": "tmp421"}

# Subject, grade, part of what is found, part of what to do. Before weir runs, with the clock of a board that has none
# and all of the disk in memory.
BEFORE = [("board", "ok", "Raspberry Pi 3 Model B", ""), ("i2c", "ok", "on", ""), ("serial", "ok", "on", ""),
          ("spi", "ok", "add the line `dtparam=spi=on` to /boot/firmware/config.txt", ""),
          ("1-wire", "ok", "add the line `dtoverlay=w1-gpio`", ""), ("access", "ok", "may open all 5 device nodes", ""),
          ("gpio", "ok", "wire: GPIO22 is there and free", ""), ("gpio", "ok", "door: door:3 is there and free", ""),
          ("gpio", "ok", "lamp: GPIO17 is there and free", ""), ("clock", "problem", "it was never set", "DS3231"),
          ("disk", "problem", "is memory", "state_dir"), ("hub", "ok", "0.0.0.0:1883 is free", ""),
          ("cloud", "ok", "bridge cloud: mqtt://10.0.2.2", "")]
# While it runs, with the clock set and a chip away.
RUNNING = [("gateway", "problem", "sensor absent is dead", ""), ("serial", "ok", "on", ""),
           ("clock", "ok", "set by systemd-timesyncd", ""), ("disk", "problem", "is memory", "state_dir"),
           ("hub", "ok", "weir listens on 0.0.0.0:1883", ""), ("store", "ok", "wait on the disk", ""),
           ("cloud", "ok", "bridge cloud: mqtt://10.0.2.2", ""),
           ("cloud", "warning", "takes 20 messages at once", "max_inflight_messages")]


class Looks:
    def __init__(self, pi):
        self.pi = pi

    def scan_names_chips(self):
        """Every chip on the bus is found, and none is changed by the look."""
        # A byte of the memory, and an open channel of the multiplexer.
        self.pi.shell("i2cset -y 1 0x50 0x00 0xa5 && i2cset -y 1 0x76 0x04")
        said = self.pi.shell("weir scan >/tmp/scan.toml && cat /tmp/scan.toml")
        lines = [line.removeprefix("#").strip() for line in said.splitlines()]
        chips = [line for line in lines if line.startswith("0x")]
        assert chips == CHIPS, said
        assert all(line in lines for line in OTHERS), said
        drivers = [line.split('"')[1] for line in lines if line.startswith(("name ", "driver "))]
        assert dict(zip(drivers[::2], drivers[1::2])) == DRIVERS, said
        left = self.pi.shell("i2cget -y 1 0x50 0x00 && i2cget -y 1 0x76").split()
        assert left == ["0xa5", "0x04"], f"the look has changed memory or multiplexer: {left}"
        self.pi.shell("""printf '[gateway]\\nname = "pi"\\n' | cat - /tmp/scan.toml >/tmp/first.toml""")
        self.pi.shell("weir check /tmp/first.toml")
        return f"{len(chips)} chips, {len(DRIVERS)} tables that `weir check` takes"

    def doctor_says(self, wanted):
        """What it finds; it fails as there is a problem."""
        said = self.pi.shell("weir doctor --config /etc/weir/weir.toml --json; echo ended=$?")
        report, status = said.rsplit("ended=", 1)
        findings = json.loads(report)["findings"]
        assert status == "1", said
        for subject, grade, what, advice in wanted:
            fits = lambda it: (it["subject"], it["grade"]) == (subject, grade) and what in it["what"] \
                and advice in it.get("advice", "")
            assert any(map(fits, findings)), f"no {(subject, grade, what, advice)} in {report}"
        problems = sorted(it["subject"] for it in findings if it["grade"] == "problem")
        expected = sorted(subject for subject, grade, *_ in wanted if grade == "problem")
        assert problems == expected, f"problems are {problems} and not {expected}: {report}"
        return f"{len(findings)} findings, problems: {', '.join(problems)}"
