"""The emulated Raspberry Pi: QEMU's `raspi3b` with chips on its I2C bus, and everything that reaches it from outside."""

import json
import pathlib
import re
import socket
import subprocess
import threading
import time

import stage

# Longer than five times what the slowest step takes on two busy cores: a package that is unpacked on the card.
PATIENCE_S = 900
CHIPS = [("tmp105", 0x48, "t105"), ("tmp421", 0x4c, "t421"), ("emc1413", 0x18, "t1413"), ("dps310", 0x77, "air"),
         ("ds1338", 0x68, "clock"), ("at24c-eeprom,rom-size=256", 0x50, "memory"), ("pca9548", 0x76, "switch")]
# The GPIO block's registers as the processor sees them.
FUNCTION_1, SET_0, CLEAR_0, LEVEL_0 = 0x3F200004, 0x3F20001C, 0x3F200028, 0x3F200034
# No watchdog, no radio to wait for; rppal's registers are in /dev/mem where no /dev/gpiomem is.
COMMAND_LINE = "console=ttyS1,115200 rdinit=/init iomem=relaxed oops=panic panic=5 quiet deferred_probe_timeout=1"


class Line:
    """A stream socket of QEMU. It is read always, also while nobody waits for anything: who writes into a full one
    stands still, and with its console the kernel does."""

    def __init__(self, path, process):
        self.socket, self.buffer, self.log = socket.socket(socket.AF_UNIX), b"", b""
        self.news, self.ended = threading.Condition(), False
        end = time.monotonic() + PATIENCE_S
        while self.socket.connect_ex(str(path)) != 0:
            assert process.poll() is None, "QEMU ended"
            assert time.monotonic() < end, f"{path} does not appear"
            time.sleep(0.02)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        got = b"all"
        while got:
            try:
                got = self.socket.recv(65536)
            except ConnectionError:
                got = b""
            with self.news:
                self.buffer, self.log, self.ended = self.buffer + got, self.log + got, not got
                self.news.notify_all()

    def send(self, text):
        self.socket.sendall(text.encode())

    def until(self, pattern, patience_s=PATIENCE_S):
        """What matches `pattern`; everything up to it is taken."""
        pattern, end = re.compile(pattern.encode(), re.S), time.monotonic() + patience_s
        with self.news:
            while not (found := pattern.search(self.buffer)):
                assert not self.ended, f"QEMU has closed the line; the last was {self.log[-500:]!r}"
                if (left := end - time.monotonic()) <= 0:
                    raise TimeoutError(f"no {pattern.pattern!r}; the last was {self.log[-500:]!r}")
                self.news.wait(left)
            self.buffer = self.buffer[found.end():]
        return found


class Machine:
    def __init__(self, packages, boot, folder, more="", command_line=COMMAND_LINE, tree="board"):
        self.folder, self.commands = folder, 0
        chips = [f"-device {kind},bus=i2c-bus.1,address={address:#x},id={name}" for kind, address, name in CHIPS]
        # Those of a machine that ran here before.
        for name in ("serial", "console", "qmp", "qtest"):
            (folder / name).unlink(missing_ok=True)
        lines = {name: folder / name for name in ("serial", "console", "qmp", "qtest")}
        options = f"""-M raspi3b -kernel {boot}/kernel -initrd {folder}/initramfs -dtb {boot}/{tree}.dtb {" ".join(chips)}
            -device usb-net,netdev=net -netdev user,id=net,hostfwd=tcp:127.0.0.1:0-:1883
            -serial unix:{lines["serial"]},server=on,wait=off -serial unix:{lines["console"]},server=on,wait=on
            -qmp unix:{lines["qmp"]},server=on,wait=off -qtest unix:{lines["qtest"]},server=on,wait=off
            -qtest-log none -display none -no-reboot -L {packages}/usr/share/qemu {more}""".split()
        command = stage.run_unpacked(packages, "qemu-system-aarch64", *options, "-append", command_line, only_command=True)
        self.began = time.monotonic()
        self.errors = open(folder / "qemu", "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self.errors)
        self.console = Line(lines["console"], self.process)
        self.monitor = Line(lines["qmp"], self.process)
        self.monitor.until("QMP.*?\n")
        self.qmp("qmp_capabilities")
        self.registers = Line(lines["qtest"], self.process)
        self.serial = Line(lines["serial"], self.process)

    def qmp(self, command, **arguments):
        self.monitor.send(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        while True:
            answer = json.loads(self.monitor.until(r"([^\n]*)\n").group(1))
            assert "error" not in answer, f"{command}: {answer['error']}"
            if "return" in answer:
                return answer["return"]

    def monitor_says(self, line):
        return self.qmp("human-monitor-command", **{"command-line": line})

    def hub_port(self):
        """Where the host reaches the hub inside: QEMU has picked a port that was free."""
        return int(re.search(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", self.monitor_says("info usernet")).group(1))

    def temperature(self, chip, celsius, quantity="temperature"):
        self.qmp("qom-set", path=f"/machine/peripheral/{chip}", property=quantity, value=round(celsius * 1000))

    def register(self, address):
        return int(self.monitor_says(f"xp /1wx {address:#x}").split()[1], 16)

    def pin(self, number):
        return self.register(LEVEL_0) >> number & 1

    def drive(self, number, high):
        """What a wire at an input pin would do."""
        self.registers.send(f"writel {SET_0 if high else CLEAR_0:#x} {1 << number:#x}\n")
        self.registers.until("OK.*?\n")

    def shell(self, command, may_fail=False):
        """What a command prints inside."""
        self.commands += 1
        self.console.send(f'{command}; echo "@@{self.commands}" "$?"\n')
        found = self.console.until(rf"(.*?)@@{self.commands} (\d+)\r?\n")
        output, status = found.group(1).decode(errors="replace").replace("\r", ""), int(found.group(2))
        assert may_fail or status == 0, f"{command}: status {status}, {output}"
        return output.strip()

    def processor_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.errors.close()
        (self.folder / "console.log").write_bytes(self.console.log)
