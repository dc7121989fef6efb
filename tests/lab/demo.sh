#!/bin/bash
# Drains a real host: three libvirt hosts with nine guests on this machine, measured, planned,
# executed, and every guest's memory checked afterwards. Prints each command before it runs it.
#
# Needs root and what `tests/setup/packages.sh lab` installs; takes about two minutes. Uses
# target/debug/whimbrel (built with --features libvirt) and target/debug/whimbrel-lab. Keeps what it
# made in target/lab-demo and takes its lab down at the end, whatever happens.
# Exit codes: 0 the drain went as it should, 2 anything did not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

OUT=$PWD/target/lab-demo
export PATH=$PWD/target/debug:$PATH
export WHIMBREL_LAB_NAME=whimbrel-demo WHIMBREL_LAB_DIR=${TMPDIR:-/tmp}/whimbrel-demo-lab
export WHIMBREL_CONFIG=$OUT/whimbrel.toml WHIMBREL_POLICY=$OUT/policy.toml

bold='' faint='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' faint=$'\e[2m' plain=$'\e[0m'
fi

fail() { # fail MESSAGE HINT
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 2
}

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

run() { # run COMMAND...: shows it, then runs it
  local word line='$'
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:+=-]+$ ]]; then line+=" $word"; else line+=" '$word'"; fi
  done
  printf '%s%s%s\n' "$faint" "${line//$PWD\//}" "$plain"
  # What outlives this script must not hold its lock.
  "$@" 9>&-
}

# The program runs in the lab's network, where h1, h2 and h3 have names.
whimbrel() { whimbrel-lab exec "$PWD/target/debug/whimbrel" "$@"; }
virsh() { whimbrel-lab exec virsh "$@"; }

take_down() {
  local status=$?
  trap - EXIT
  title 'Taking the lab down'
  run whimbrel-lab down || status=2
  rm -rf "$WHIMBREL_LAB_DIR"
  [[ $status == 0 ]] || printf 'error: the demonstration did not go as it should\n' >&2
  exit $((status == 0 ? 0 : 2))
}

for program in whimbrel whimbrel-lab; do
  [[ -x target/debug/$program ]] || fail "no target/debug/$program" "make lab-demo builds it"
done
# Two at once would end each other's lab.
exec 9>target/lab-demo.lock
flock --nonblock 9 || fail 'another demonstration is running' 'wait until it has ended'
rm -rf "$OUT"
mkdir -p "$OUT"
trap take_down EXIT

printf '%s\n' 'whimbrel and virsh, below, run in the network of the lab, where h1, h2 and h3 have names.'

title 'Three hosts'
run whimbrel-lab up --fresh

title 'Nine guests, each of which writes its memory in another way'
start() { run whimbrel-lab guest start "$@"; }
GUESTS=(idle web-1 cache batch web-2 database queue sleeper daily)
start idle --host h1 --memory-mib 48 --working-set-mib 16 --rate-kib-per-second 0 --busy-percent 0
start web-1 --host h1 --memory-mib 64 --working-set-mib 24 --rate-kib-per-second 2048 --busy-percent 12
start cache --host h1 --memory-mib 96 --working-set-mib 64 --rate-kib-per-second 10240 --busy-percent 16 \
  --hot-mib 4 --hot-share-percent 90
start batch --host h1 --memory-mib 96 --working-set-mib 64 --rate-kib-per-second 0 --busy-percent 8 \
  --shape phases --phases 0:512,90000:12288,150000:3072 --period-milliseconds 240000
start web-2 --host h2 --memory-mib 64 --working-set-mib 24 --rate-kib-per-second 3072 --busy-percent 6
start database --host h2 --memory-mib 128 --working-set-mib 96 --rate-kib-per-second 6144 --busy-percent 8 \
  --order rand
start queue --host h2 --memory-mib 48 --working-set-mib 32 --rate-kib-per-second 9216 --busy-percent 4 \
  --shape square --amplitude-kib-per-second 8192 --period-milliseconds 180000
start sleeper --host h3 --memory-mib 96 --working-set-mib 24 --rate-kib-per-second 256 --busy-percent 1 \
  --zero-percent 60
start daily --host h3 --memory-mib 64 --working-set-mib 40 --rate-kib-per-second 7168 --busy-percent 5 \
  --shape sine --amplitude-kib-per-second 6144 --period-milliseconds 120000

title 'Configuration and policy'
{
  printf '[collect]\nperiod = "2 s"\n'
  for host in h1 h2 h3; do
    printf '\n[[host]]\nname = "%s"\nuri = "qemu+tcp://%s/system"\n' "$host" "$host"
    # All three share one machine; this is what each of them offers.
    printf 'memory = "512 MiB"\ncpu = "400 millicores"\n'
  done
} >"$WHIMBREL_CONFIG"
cp tests/src/policy.toml "$WHIMBREL_POLICY"
run cat "$WHIMBREL_CONFIG" "$WHIMBREL_POLICY"

title 'Measuring how fast every guest dirties its memory'
run whimbrel collect --for '45 s'

title 'Planning: where every guest of h1 goes, when, and what it will cost'
run whimbrel plan drain h1 --out "$OUT/drain.toml"

title 'What would happen now: the plan against the hosts as they are'
run whimbrel apply "$OUT/drain.toml"

title 'Draining h1'
run whimbrel apply "$OUT/drain.toml" --execute --report "$OUT/drain.html"

title 'Is every page of every guest as the guest wrote it?'
for guest in "${GUESTS[@]}"; do
  checked=$(run whimbrel-lab guest verify "$guest")
  printf '%s\n' "$checked"
  [[ $checked == *', 0 bad' ]] || fail "guest $guest lost pages" "see $WHIMBREL_LAB_DIR/serial/$guest.log"
done

title 'Is h1 empty?'
run virsh -c qemu+tcp://h1/system list
left=$(virsh -c qemu+tcp://h1/system list --name --all 9>&- | xargs)
[[ -z $left ]] || fail "still on h1: $left" "whimbrel-lab status shows the hosts"

[[ -s $OUT/drain.html ]] || fail "no report was written" "see the output above"
title "h1 is empty and all nine guests are whole; the report is ${OUT#"$PWD"/}/drain.html"
