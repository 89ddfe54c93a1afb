# shellcheck shell=bash
# An emulator for a Raspberry Pi 3 and what it starts: Debian packages that are unpacked and not installed, whatever
# this system is. Nothing here needs root. Sourced after unpacked.sh.

# For this machine: the emulator and a tool for device trees, with all their libraries.
native=(qemu-system-arm device-tree-compiler)
# For the Pi; the kernel's packages are added as its name is known.
foreign=(busybox-static libc6 libgcc-s1)

# Debian's newest kernel for this suite, because its own has no gpio-sim. Its name has the version in it, and how it is
# cut into packages has changed: both are asked of the list that is valid now. What it needs besides, it does not need here.
kernel_packages() {
  local release image
  release=$(apt_list policy linux-image-arm64:arm64 | sed -n "s/.* $suite-backports\/main .*/$suite-backports/p" | head -n 1)
  image=$(apt_list -o APT::Default-Release="${release:-$suite}" depends linux-image-arm64:arm64 |
    sed -n 's/.*Depends: \(linux-image-[0-9][^:]*\).*/\1/p' | head -n 1)
  [ -n "$image" ] || return 1
  echo "$image"
  apt_list depends "$image:arm64" | sed -n "s/.*Depends: \(linux-[a-z]*-${image#linux-image-}\).*/\1/p" | sort -u
}

# Fetches and unpacks everything into $1.
fetch_emulator() {
  local kernel package arm=()
  rm -rf "$work" "$1"
  write_apt_conf "$suite $suite-backports" "$(dpkg --print-architecture)" arm64
  apt_apart update >/dev/null || return 1
  kernel=$(kernel_packages) || { say "Debian has no kernel for arm64"; return 1; }
  for package in "${foreign[@]}" $kernel; do arm+=("$package:arm64"); done
  fetch_closure "${native[@]}" || return 1
  (mkdir -p "$work/arm64" && cd "$work/arm64" && apt_apart download "${arm[@]}" >/dev/null) || return 1
  unpack "$1" "$work"/cache/archives/*.deb && unpack "$1/arm64" "$work"/arm64/*.deb
}

# Sets $emulator to a folder with `packages` and `boot`, and makes it if it is not there.
make_emulator() {
  local old
  emulator=$cache/pi-$(cat scripts/unpacked.sh scripts/emulator.sh tests/pi/stage.py | sha256sum | cut -c 1-12)
  [ ! -e "$emulator/made" ] || return 0
  have apt-get || cannot "the emulator comes from Debian's packages"
  [ -e "$keyring" ] || cannot "Debian's archive keys ($keyring) are not here"
  mkdir -p "$emulator/boot"
  work=$emulator/work
  say "fetching kernel and emulator ..."
  # A mirror that is just taking in a new kernel names one that it does not have yet, or no longer: once more, with the
  # lists of a moment later.
  fetch_emulator "$emulator/packages" || fetch_emulator "$emulator/packages" || cannot "kernel and emulator cannot be had"
  python3 -B tests/pi/stage.py "$emulator/packages" "$emulator/boot" || return 1
  # Most of a kernel's modules are for other machines.
  rm -rf "$work" "$emulator/packages/arm64"
  touch "$emulator/made"
  for old in "$cache"/pi-*; do [ "$old" = "$emulator" ] || rm -rf "$old"; done
}

# What checks on it need of this machine.
prepare_emulator() {
  local began=$SECONDS
  have python3 || packages python3 || die "python3 is needed"
  PATH=$PATH:/usr/sbin
  have mosquitto || die "mosquitto is needed; scripts/test installs it"
  make_emulator || die "could not make kernel, device tree and initramfs"
  say "kernel and emulator ready in $((SECONDS - began)) s"
}

# Sets $program to weir for aarch64, and builds it if none is given.
choose_program() {
  local began=$SECONDS
  program=${1:-target/aarch64-unknown-linux-gnu/quick/weir}
  [ -z "${1:-}" ] || return 0
  scripts/build-arm --quick aarch64 || die "the cross build failed"
  say "program built in $((SECONDS - began)) s"
}
