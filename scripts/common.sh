# shellcheck shell=bash
# Shared by run, test and check: messages, packages, the compiler. Sourced, never run.
# After sourcing, the working directory is the top of the repository.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

bold='' plain=''
if [ -t 2 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi
say() { printf '%sweir:%s %s\n' "$bold" "$plain" "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# The oldest compiler that builds this, from Cargo.toml: one place to change.
min_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

# --- packages ---------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else die "this needs root, and there is no sudo. As root, run: $*"
  fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# Runs a command silently; what it said is shown only when it fails.
quietly() {
  local log; log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || { tail -n 30 "$log" >&2; rm -f "$log"; return 1; }
  rm -f "$log"
}

apt_updated=
apt_update() {
  [ -n "$apt_updated" ] || quietly apt update || say "some package lists could not be refreshed; trying with what is there"
  apt_updated=yes
}

installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# Installs those of the named packages that are missing. Never removes one.
packages() {
  local missing=() package
  for package; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  have apt-get || { say "please install: ${missing[*]}"; return 1; }
  if [ "$(id -u)" != 0 ] && have sudo; then sudo -v || return 1; fi
  apt_update
  say "installing ${missing[*]} ..."
  quietly apt install --yes --no-install-recommends --no-remove "${missing[@]}"
}

# --- the compiler -----------------------------------------------------------

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

rust_fits() { # with this PATH, are there a cargo and a rustc that are new enough?
  local tool version
  for tool in cargo rustc; do
    version=$(PATH=$1 "$tool" --version 2>/dev/null) || return 1
    version=${version#* }
    at_least "$min_rust" "${version%% *}" || return 1
  done
}

candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9.]*\).*/\1/p'; }

# Fails if this one source cannot be had; others that are broken do not matter.
apt_update_only() {
  apt -o Dir::Etc::sourcelist="$1" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 \
    -o APT::Update::Error-Mode=any update
}

# Debian's new compilers for old releases (rustc-web) come through the security suite.
# A machine that has that suite is left as it is.
enable_security_suite() {
  local codename file=/etc/apt/sources.list.d/weir-security.sources mirror uri keyring
  codename=$(. /etc/os-release; printf '%s' "${VERSION_CODENAME:-}")
  [ -n "$codename" ] || return 1
  if grep -rqsE "^[^#]*\\b$codename-security\\b" /etc/apt/sources.list /etc/apt/sources.list.d; then return 1; fi
  # apt itself tells which mirror is in use, whatever the format of its sources.
  mirror=$(apt-get indextargets --format '$(CODENAME) $(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
    sed -n "s/^$codename Debian //p" | head -n 1)
  [ -n "$mirror" ] || return 1 # not a Debian: its security suite would not fit
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e "$keyring" ] || keyring=${keyring%.gpg}.pgp
  uri=${mirror%/}-security
  printf '%s\n' 'Types: deb' "URIs: $uri" "Suites: $codename-security" 'Components: main' "Signed-By: $keyring" |
    as_root tee "$file" >/dev/null
  if apt_update_only "$file" >/dev/null 2>&1 </dev/null; then
    say "added the $codename-security suite from $uri, for a newer compiler (in $file)"
    return 0
  fi
  as_root rm -f "$file"
  return 1
}

install_debian_rust() {
  local package old=()
  have apt-get || die "please install Rust $min_rust or newer (https://rustup.rs), then run this again"
  apt_update
  if ! at_least "$min_rust" "$(candidate rustc-web)"; then enable_security_suite || true; fi
  at_least "$min_rust" "$(candidate rustc-web)" ||
    die "this system's packages have no Rust $min_rust; please install it from https://rustup.rs, then run this again"
  # These cannot stay beside the newer ones, and it is not for a script to remove them.
  for package in cargo rustc rustup; do ! installed "$package" || old+=("$package"); done
  [ ${#old[@]} = 0 ] ||
    die "Rust $min_rust is needed, which comes with rustc-web. Please make room: apt-get remove ${old[*]}; then run this again"
  packages rustc-web cargo-web || die "could not install rustc-web and cargo-web"
}

# Puts a compiler that is new enough on PATH, and a C compiler and linker beside it.
ensure_rust() {
  local path
  for path in "$PATH" "${HOME:-/root}/.cargo/bin:$PATH" "/usr/bin:$PATH" none; do
    if [ "$path" = none ]; then
      install_debian_rust
      path=/usr/bin:$PATH
      rust_fits "$path" || die "rustc-web is installed but does not run"
    fi
    if rust_fits "$path"; then export PATH=$path; break; fi
  done
  have cc && [ -e /usr/include/stdio.h ] || packages gcc libc6-dev || die "a C compiler is needed"
  [ -e /etc/ssl/certs/ca-certificates.crt ] || ! have apt-get || packages ca-certificates
}

# ensure_cargo_tool fmt rustfmt-web rustfmt: `cargo fmt`, from Debian's package or rustup's component.
ensure_cargo_tool() {
  cargo "$1" --version >/dev/null 2>&1 && return
  if installed cargo-web; then packages "$2"
  elif have rustup; then quietly rustup component add "$3"
  fi
  cargo "$1" --version >/dev/null 2>&1
}
