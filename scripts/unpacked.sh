# shellcheck shell=bash
# Debian packages for any processor that are fetched and unpacked and not installed: no program of theirs runs here.
# Sourced after chroot.sh.

suite=trixie

cannot() { say "cannot be run here: $*"; echo "$*" >"${WEIR_SKIPPED:-/dev/null}"; exit 77; }

# $work is a folder for lists and packages.

write_apt_conf() { # write_apt_conf "SUITE..." ARCHITECTURE FOREIGN...
  local uri suites; uri=$(mirror '')
  read -ra suites <<<"$1"
  shift
  mkdir -p "$work"/{state/lists,cache/archives}/partial
  : >"$work/status"
  printf "deb [signed-by=$keyring] $uri %s main\n" "${suites[@]}" >"$work/sources.list"
  cat >"$work/apt.conf" <<-END
	Dir::State "$work/state"; Dir::State::status "$work/status"; Dir::Cache "$work/cache";
	Dir::Etc::sourcelist "$work/sources.list"; Dir::Etc::sourceparts "/dev/null";
	Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
	APT::Architecture "$1"; APT::Architectures { $(printf '"%s"; ' "$@")};
	APT::Install-Recommends "false"; APT::Sandbox::User "root"; Debug::NoLocking "true"; Acquire::Languages "none";
	Acquire::Check-Valid-Until "false";
	END
}

# apt with lists and a cache of its own, and none of this machine's packages.
apt_apart() { APT_CONFIG=$work/apt.conf apt-get -q -o Dpkg::Use-Pty=0 "$@"; }

# What the lists say that were fetched.
apt_list() { APT_CONFIG=$work/apt.conf apt-cache "$@"; }

# Fetches packages with everything they need into $work/cache/archives.
fetch_closure() { apt_apart install --yes --download-only "$@" >/dev/null; }

unpack() { # unpack FOLDER FILE...
  local folder=$1 file; shift
  mkdir -p "$folder"
  for file; do dpkg-deb --fsys-tarfile "$file" | tar -x --no-same-owner -C "$folder" || return 1; done
}

# What scripts of these packages would have done, as far as systemd and dpkg need it.
settle() { # settle FOLDER ARCHITECTURE
  local file name
  cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"
  cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"
  sed 's/^\([^:]*\):.*/\1:*:20000:0:99999:7:::/' "$1/etc/passwd" >"$1/etc/shadow"
  chmod 640 "$1/etc/shadow"
  cp "$1/usr/share/libc-bin/nsswitch.conf" "$1/etc/nsswitch.conf" 2>/dev/null ||
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$1/etc/nsswitch.conf"
  for file in "$work"/cache/archives/*.deb; do
    name=$(dpkg-deb -f "$file" Package)
    [ "$(dpkg-deb -f "$file" Multi-Arch)" != same ] || name+=:$2
    dpkg-deb --fsys-tarfile "$file" | tar -t | sed 's,^\.,,; s,/$,,; s,^$,/.,' >"$1/var/lib/dpkg/info/$name.list"
    dpkg-deb -f "$file" | sed 's/^Package:.*/&\nStatus: install ok installed/'
    echo
  done >"$1/var/lib/dpkg/status"
}
