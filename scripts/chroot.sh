# shellcheck shell=bash
# Debian root file systems in a cache outside the repository, and commands inside them. Sourced after common.sh.

cache=${WEIR_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/weir}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || keyring=${keyring%.gpg}.pgp

# The mirror that apt uses here, so that a local one serves the roots too.
mirror() { # mirror '' or mirror -security
  local uri
  uri=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n "s/^Debian [a-z]*$1 //p" | head -n 1)
  uri=${uri:-http://deb.debian.org/debian$1}
  printf '%s' "${uri%/}"
}

sources() { # sources SUITE
  printf "deb [signed-by=$keyring] %s main\n" "$(mirror '') $1" "$(mirror -security) $1-security"
}

# make_root NAME SUITE ARCHITECTURES PACKAGE...: sets $root to a root file system with these packages, and makes it if
# it is not there. Another list is another root, and the old one goes; one that was not finished is made again.
make_root() {
  local name=$1 suite=$2 architectures=$3 old log
  root=$cache/roots/$name-$(printf '%s\n' "$@" | sha256sum | cut -c 1-12)
  shift 3
  [ ! -e "$root.made" ] || return 0
  packages mmdebstrap || return 1
  for old in "$cache/roots/$name"-*; do [ ! -e "$old" ] || as_root rm -rf --one-file-system "$old"; done
  mkdir -p "$cache/roots"
  say "making $root of Debian $suite ..."
  log=$root.log
  sources "$suite" | as_root mmdebstrap --variant=apt --architectures="$architectures" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="$(IFS=,; printf '%s' "$*")" "$suite" "$root" - >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; return 1; }
  rm -f "$log"
  touch "$root.made"
}

# in_root COMMAND...: as this user (or as $in_root_as), with this folder and the cache at their own paths, with the network and certificates
# of this machine, and with nothing of its environment but what `env` is told. All mounts go with the command.
in_root() {
  as_root unshare --mount --propagation private bash -euc '
    root=$1 user=$2; shift 2
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    for folder; do
      shift
      [ "$folder" != -- ] || break
      mkdir -p "$root$folder"
      mount --rbind "$folder" "$root$folder"
    done
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    exec chroot --userspec="$user" "$root" "$@"
  ' in_root "$root" "${in_root_as:-$(id -u):$(id -g)}" "$PWD" "$cache" /etc/ssl/certs -- \
    /usr/bin/env -i --chdir="$PWD" PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$cache/home" LANG=C.UTF-8 "$@"
}
