"""What the emulated Pi starts from: the kernel's image, a device tree, an initramfs. Made from unpacked Debian packages.

    stage.py PACKAGES OUT      once for a set of packages; `initramfs` adds what changes from run to run
"""

import lzma
import os
import pathlib
import re
import stat
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
# In this order; what they depend on goes before them. The watchdog's driver is left out: QEMU resets the board
# as soon as somebody opens it.
MODULES = {"order": ["i2c-bcm2835", "i2c-dev", "gpio-sim", "dwc2", "cdc_ether", "rndis_host", "cdc_subset"],
           "card": ["sdhci_iproc", "mmc_block", "ext4", "ftdi_sio"]}
LIBRARIES = ["ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libgcc_s.so.1"]


class Archive:
    """A cpio archive in the form that the kernel unpacks (newc)."""

    def __init__(self):
        self.parts, self.number, self.folders = [], 0, set()

    def put(self, path, data, mode):
        folder = os.path.dirname(path)
        if folder and folder not in self.folders:
            self.folders.add(folder)
            self.put(folder, b"", stat.S_IFDIR | 0o755)
        self.number += 1
        name = path.encode() + b"\0"
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        for part in (head, data):
            self.parts.append(part + b"\0" * (-len(part) % 4))

    def file(self, path, data, mode=0o755):
        self.put(path, data, stat.S_IFREG | mode)

    def link(self, path, target):
        self.put(path, target.encode(), stat.S_IFLNK | 0o777)

    def bytes(self):
        self.put("TRAILER!!!", b"", 0)
        return b"".join(self.parts)


def run_unpacked(packages, program, *arguments, **how):
    """Runs a program of packages that are unpacked and not installed, with their libraries and none of this system's."""
    loader, = (path for pattern in ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/*/ld-linux-aarch64.so.1")
               for path in packages.glob(pattern))
    libraries = next(packages.glob("usr/lib/*/libc.so.6")).parent
    command = [str(loader), "--library-path", f"{libraries}:{libraries}/pulseaudio", str(packages / "usr/bin" / program)]
    return command + list(arguments) if how.get("only_command") else subprocess.run(command + list(arguments), check=True)


def kernel_modules(folder):
    """Name to path; the kernel takes `-` and `_` for the same."""
    return {path.name.split(".ko")[0].replace("-", "_"): path for path in folder.rglob("*.ko*")}


def with_dependencies(wanted, paths, built_in, done):
    """Yields names and contents in the order of loading; what is built into the kernel has no file."""
    name = wanted.replace("-", "_")
    if name in done or name in built_in:
        return
    assert name in paths, f"this kernel has no {wanted}"
    done.add(name)
    data = paths[name].read_bytes()
    data = lzma.decompress(data) if paths[name].suffix == ".xz" else data
    needs = re.search(rb"\0depends=([^\0]*)\0", data)
    for other in filter(None, needs.group(1).decode().split(",")):
        yield from with_dependencies(other, paths, built_in, done)
    yield name, data


def make_base(packages, out):
    arm = packages / "arm64"
    modules, = (arm / "usr/lib/modules").iterdir()
    paths, archive, done = kernel_modules(modules), Archive(), set()
    built_in = {pathlib.Path(line).stem.replace("-", "_") for line in (modules / "modules.builtin").read_text().split()}
    for list_name, all_wanted in MODULES.items():
        order = []
        for wanted in all_wanted:
            for name, data in with_dependencies(wanted, paths, built_in, done):
                archive.file(f"modules/{name}.ko", data)
                order.append(name + "\n")
        archive.file(f"modules/{list_name}", "".join(order).encode())
    archive.file("bin/busybox", (arm / "usr/bin/busybox").read_bytes())
    archive.link("bin/sh", "busybox")
    for library in LIBRARIES:
        archive.file(f"lib/{library}", (arm / "usr/lib/aarch64-linux-gnu" / library).read_bytes())
    for folder in ("proc", "sys", "dev", "tmp", "run", "etc", "card", "var/lib/weir"):
        archive.put(folder, b"", stat.S_IFDIR | 0o755)
    (out / "base.cpio").write_bytes(archive.bytes())
    image, = [*(arm / "boot").glob("vmlinuz-*"), *modules.glob("vmlinuz")]
    (out / "kernel").write_bytes(image.read_bytes())
    make_device_trees(packages, arm, out)
    print(f"kernel {modules.name}, {len(done)} modules")


def make_device_trees(packages, arm, out):
    """Debian's, without Bluetooth, as Raspberry Pi OS has it with `dtoverlay=disable-bt`: it would take the serial port.
    That for the card has it at the other of the board's two controllers (`dtoverlay=mmc`), which is the wireless network's
    else: without DMA it asks for a block at a time, the usual one for 64 bytes. With DMA, that one's driver gives up on a
    transfer on a machine that is busy, while the emulated DMA still ends it, and falls over that."""
    usual, other = "/soc/mmc@7e202000", "/soc/mmc@7e300000"
    card = [("-ts", usual, "status", "disabled"), ("-r", f"{other}/wifi@1"),
            ("-d", other, "mmc-pwrseq", "pinctrl-names", "pinctrl-0")]
    tree, = arm.rglob("bcm2837-rpi-3-b.dtb")
    for name, edits in {"board": [], "card": card}.items():
        file = out / f"{name}.dtb"
        file.write_bytes(tree.read_bytes())
        for option, *rest in [("-r", "/soc/serial@7e201000/bluetooth")] + edits:
            run_unpacked(packages, "fdtput", option, str(file), *rest)


def initramfs(boot, out, files):
    """The archive with further files: path to contents."""
    archive = Archive()
    for path, data in files.items():
        archive.file(path, data)
    out.write_bytes((boot / "base.cpio").read_bytes() + archive.bytes())


if __name__ == "__main__":
    make_base(*map(pathlib.Path, sys.argv[1:3]))
