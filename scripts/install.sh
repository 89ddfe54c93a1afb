#!/bin/sh
# Installs weir from the release tarball that this script lies in, for systems that take no .deb:
#   ./install.sh               the program to /usr/local/bin, the service to /etc/systemd/system, and starts it
#   ./install.sh uninstall     takes away what was installed; configuration, secrets and what waits on disk stay
#   ./install.sh purge         takes away those too
# Run as root. DESTDIR=FOLDER installs into a root file system that is not running. Needs no network.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR:-}
say() { printf 'weir: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
running() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

# From the tarball to the machine: one line per file.
files='
755 usr/bin/weir usr/local/bin/weir
644 usr/lib/sysusers.d/weir.conf etc/sysusers.d/weir.conf
644 usr/lib/tmpfiles.d/weir.conf etc/tmpfiles.d/weir.conf
644 usr/lib/udev/rules.d/60-weir.rules etc/udev/rules.d/60-weir.rules
644 usr/share/bash-completion/completions/weir usr/local/share/bash-completion/completions/weir
644 usr/share/zsh/vendor-completions/_weir usr/local/share/zsh/site-functions/_weir
644 usr/share/fish/vendor_completions.d/weir.fish usr/local/share/fish/vendor_completions.d/weir.fish
644 usr/share/doc/weir/weir.toml usr/local/share/doc/weir/weir.toml
644 usr/share/doc/weir/README.md usr/local/share/doc/weir/README.md
644 usr/share/doc/weir/copyright usr/local/share/doc/weir/copyright
644 usr/share/doc/weir/third-party-licences.gz usr/local/share/doc/weir/third-party-licences.gz
'
unit=etc/systemd/system/weir.service
manuals=usr/local/share/man/man1

put() { # put MODE FROM TO, in one step for whoever runs it
  install -d -m 755 "$(dirname "$root/$3")"
  install -m "$1" "$here/$2" "$root/$3.new"
  mv "$root/$3.new" "$root/$3"
}

each_file() { # each_file COMMAND: called with mode, from and to
  printf '%s' "$files" | while read -r mode from to; do
    [ -z "$mode" ] || "$1" "$mode" "$from" "$to"
  done
}

accounts() {
  if command -v systemd-sysusers >/dev/null; then systemd-sysusers ${root:+--root="$root"} weir.conf
  else die "systemd-sysusers is missing: weir runs as a service of systemd"
  fi
}

set_up() {
  [ -z "$(dpkg-query -W -f '${db:Status-Status}' weir 2>/dev/null | grep -x installed)" ] ||
    die "the package weir is installed; take it away first, or install the .deb"
  each_file put
  for page in "$here"/usr/share/man/man1/*; do put 644 "usr/share/man/man1/${page##*/}" "$manuals/${page##*/}"; done
  sed 's,/usr/bin/weir,/usr/local/bin/weir,' "$here/usr/lib/systemd/system/weir.service" >"$here/weir.service"
  put 644 weir.service $unit
  rm -f "$here/weir.service"
  # A configuration that is there is nobody's to change but its owner's.
  [ -e "$root/etc/weir/weir.toml" ] || put 644 etc/weir/weir.toml etc/weir/weir.toml
  install -d -m 755 "$root/etc/weir/conf.d"
  install -d -m 700 "$root/etc/weir/credentials"
  accounts
  systemctl ${root:+--root="$root"} enable weir.service 2>/dev/null || say "could not enable weir.service"
  running || { say "installed in $root/; weir starts with that system"; return; }
  systemctl daemon-reload
  # udev may have read the rules when their groups were not there yet; it reads again only what has changed.
  touch /etc/udev/rules.d /etc/udev/rules.d/60-weir.rules
  udevadm control --reload 2>/dev/null &&
    udevadm trigger --subsystem-match=i2c-dev --subsystem-match=spidev --subsystem-match=gpio &&
    udevadm settle --timeout=10 || true
  if systemctl restart weir.service; then say "installed and running: weir status"
  else say "installed, but it does not start: journalctl -u weir"; fi
}

take_away() { rm -f "$root/$3"; }

uninstall() {
  if running; then systemctl disable --now weir.service 2>/dev/null || true
  else systemctl ${root:+--root="$root"} disable weir.service 2>/dev/null || true; fi
  each_file take_away
  rm -f "$root/$unit" "$root/$manuals"/weir.1.gz "$root/$manuals"/weir-*.1.gz
  rmdir "$root/usr/local/share/doc/weir" 2>/dev/null || true
  if running; then systemctl daemon-reload; fi
}

purge() {
  uninstall
  rm -rf "$root/etc/weir" "$root/var/lib/weir"
  [ -n "$root" ] || userdel weir 2>/dev/null || true
}

[ "$(id -u)" = 0 ] || die "run this as root"
case ${1:-install} in
  install)
    [ -x "$here/usr/bin/weir" ] || die "this script belongs into a release tarball"
    "$here/usr/bin/weir" --version >/dev/null 2>&1 || [ -n "$root" ] || die "this tarball is for another processor"
    set_up
    ;;
  uninstall) uninstall; say "taken away; /etc/weir and /var/lib/weir are still there" ;;
  purge) purge; say "taken away, with configuration and state" ;;
  *) die "install.sh [install|uninstall|purge]" ;;
esac
