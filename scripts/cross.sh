# shellcheck shell=bash
# The cross compiler in a Debian root file system, and emulators for what it makes. Sourced after chroot.sh.

gnu_name() { # of Debian's cross compiler
  case $1 in
    x86_64-*) printf x86_64-linux-gnu ;;
    aarch64-*) printf aarch64-linux-gnu ;;
    armv7-*) printf arm-linux-gnueabihf ;;
  esac
}

# One root for all targets. Debian's standard library fits only Debian's compiler of the same version.
cross_root() {
  make_root cross bookworm amd64,arm64 rustc-web cargo-web gcc libc6-dev libstd-rust-web-dev:arm64 \
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross ca-certificates || return 1
  mkdir -p "$cache/home" "$cache/cargo" "$cache/build"
}

# Until this script ends, what is built is this checkout's: Cargo takes two checkouts for one, and would hand over the
# program of the other.
own_build() {
  exec {build_lock}>"$cache/build/lock"
  flock "$build_lock"
  [ "$(cat "$cache/build/checkout" 2>/dev/null)" != "$PWD" ] || return 0
  rm -rf "$cache"/build/*/*/.fingerprint/weir-gateway-*
  printf '%s' "$PWD" >"$cache/build/checkout"
}

cross_cargo() { # cross_cargo TARGET COMMAND OPTION...
  local target=$1 command=$2 gcc under flags=''
  shift 2
  [ "${profile:-}" != release ] || flags='-Clink-arg=-B/usr/lib/llvm-16/bin -Clink-arg=-fuse-ld=lld -Clink-arg=-Wl,-z,pack-relative-relocs,--icf=all'
  gcc=$(gnu_name "$target")-gcc under=${target//-/_}
  in_root CARGO_HOME="$cache/cargo" CARGO_TARGET_DIR="$cache/build" "CC_$under=$gcc" \
    "CARGO_TARGET_${under^^}_LINKER=$gcc" "CARGO_TARGET_${under^^}_RUSTFLAGS=$flags" cargo "$command" --target "$target" "$@"
}

# apt with lists of its own in the cache, for packages that are not installed but unpacked.
apt_beside() { # apt_beside ARCH OPTION...
  local architecture=$1; shift
  mkdir -p "$cache/lists/$architecture/partial" "$cache/lists/archives/partial"
  in_root apt-get -q -o APT::Sandbox::User=root -o Dir::State::Lists="$cache/lists/$architecture" -o Dir::Cache="$cache/lists" \
    -o APT::Architectures::=amd64 -o "APT::Architectures::=$architecture" "$@"
}

# A linker that packs relative relocations, which takes a twenty-fifth off the program; Debian 12's own does so for amd64 only.
add_lld() {
  [ ! -x "$root/usr/lib/llvm-16/bin/ld.lld" ] || return 0
  say "adding lld ..."
  in_root_as=0:0 quietly in_root apt-get -q -o Acquire::Check-Valid-Until=false update &&
    in_root_as=0:0 quietly in_root DEBIAN_FRONTEND=noninteractive \
      apt-get -q install --yes --no-install-recommends lld-16
}

fetch_file() { # fetch_file URI FILE HASH
  in_root /usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file "$@" >/dev/null
}

# The standard library for armv7 is only unpacked, so that one list that a mirror does not keep whole spoils no other.
add_armv7() {
  local version pinned uri file=$cache/lists/std-armv7.deb
  [ ! -e "$root/usr/lib/rustlib/armv7-unknown-linux-gnueabihf" ] || return 0
  version=$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Version}' libstd-rust-web-dev:amd64)
  say "fetching the standard library for armv7 ..."
  if apt_beside armhf -o APT::Update::Error-Mode=any update >/dev/null 2>&1; then
    uri=$(apt_beside armhf --print-uris download "libstd-rust-web-dev:armhf=$version") || return 1
    pinned=$(sed "s/.* SHA256://" <<<"$uri") uri=$(sed "s/^'\([^']*\)'.*/\1/" <<<"$uri")
  else
    uri=$(mirror -security)/pool/updates/main/r/rustc-web/libstd-rust-web-dev_${version}_armhf.deb
    pinned=$(sed -n "s/^$version //p" cross/std-armv7)
    say "the mirror's signed list is broken; taking $uri by its checksum in cross/std-armv7"
    [ -n "$pinned" ] || { say "there is none for version $version"; return 1; }
  fi
  fetch_file "$uri" "$file" "SHA256:$pinned" || return 1
  as_root dpkg-deb -x "$file" "$root"
  rm -f "$file"
}

# Sets $runner to a command that runs a program of that target on this machine; empty where none is needed.
make_runner() { # make_runner TARGET
  local processor=${1%%-*} uri qemu
  runner=()
  [ "$processor" != "$(uname -m)" ] || return 0
  qemu=$cache/qemu/usr/bin/qemu-${processor/armv7/arm}-static
  if [ ! -x "$qemu" ]; then
    say "fetching qemu-user-static ..."
    apt_beside amd64 update >/dev/null && uri=$(apt_beside amd64 --print-uris download qemu-user-static) || return 1
    fetch_file "$(sed "s/^'\([^']*\)'.*/\1/" <<<"$uri")" "$cache/lists/qemu.deb" "$(sed 's/.* //' <<<"$uri")" || return 1
    mkdir -p "$cache/qemu"
    dpkg-deb --fsys-tarfile "$cache/lists/qemu.deb" |
      tar -x -C "$cache/qemu" ./usr/bin/qemu-arm-static ./usr/bin/qemu-aarch64-static || return 1
    rm -f "$cache/lists/qemu.deb"
  fi
  runner=("$qemu" -L "$root/usr/$(gnu_name "$1")")
}
