# shellcheck shell=bash
# When the whole system on the card is to be proven again. Sourced after chroot.sh, in the top folder.

proven=tests/pi/card.proven
# What the proof is about besides the program: packaging, the service, and the proof itself.
proves=(systemd scripts/deb scripts/package scripts/pi-card scripts/unpacked.sh scripts/emulator.sh
  config/package.toml tests/pi/init-card tests/pi/weir.toml tests/pi/{books,card,checks,cloud,machine,mqtt,stage}.py)

proves_digest() {
  find "${proves[@]}" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-16
}

# Whether what the proof is about is as it was when it was last proven.
is_proven() { [ "$(sed '/^#/d' "$proven" 2>/dev/null)" = "$(proves_digest)" ]; }

# Writes down what the digest was when the proof began. A file that says so already is left alone.
remember_proven() { # remember_proven DIGEST
  [ "$(sed '/^#/d' "$proven" 2>/dev/null)" != "$1" ] || return 0
  printf '%s\n' '# What scripts/pi-card proves (scripts/proven.sh), as it was when all of it held. Written by scripts/pi-card.' \
    "$1" >"$proven"
  say "$proven is new, and belongs into the next commit"
}

# Where a card is kept. Another way to make it is another card.
card_folder() { printf '%s/card-%s' "$cache" "$(cat scripts/pi-card scripts/unpacked.sh | sha256sum | cut -c 1-12)"; }

# Says why the whole system is to be proven now; fails if nothing asks for it.
proof_is_due() {
  if ! is_proven; then say "packaging, the service or their proof have changed since it last held"
  elif [ -e "$(card_folder)/made" ]; then say "the card is in the cache"
  else return 1; fi
}
