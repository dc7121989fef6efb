#!/bin/bash
# Installs the Debian packages that a part of Whimbrel needs, by group.
#
#   packages.sh GROUP...     groups: build libvirt lab lab-libvirt-11.3
#
# lab-libvirt-11.3 is installed nowhere: a newer libvirt is unpacked for hosts of the lab that ask for it.
#
# Looks first and does nothing (no apt call) when all is there. Never changes /etc/apt, never
# starts a daemon, never names a mirror: where the machine gets Debian from is read from its own
# apt sources. Exit codes: 0 all there, 2 it could not be done.
set -euo pipefail

CACHE=/var/cache/whimbrel-lab
POLICY=/usr/sbin/policy-rc.d
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# HiGHS is compiled by cmake and bound by bindgen, which loads libclang.
BUILD_PACKAGES="cmake make g++ clang libclang-dev pkg-config"
# The libvirt bindings link against the system's libvirt.
LIBVIRT_PACKAGES="libvirt-dev pkg-config"
# What the lab's hosts run, what its certificates and networks are made with, and what its guests
# are built from.
LAB_PACKAGES="libvirt-daemon libvirt-daemon-driver-qemu libvirt-daemon-system libvirt-clients
  gnutls-bin openssl iproute2 iputils-ping util-linux
  gcc libc6-dev busybox-static cpio gzip lz4"
# All of one build of QEMU: the block modules refuse to load into any other. QEMU below 9 loses
# dirty pages when it migrates an emulated (TCG) guest, hence backports.
QEMU_PACKAGES="qemu-system-x86 qemu-system-common qemu-system-data qemu-block-extra qemu-utils"
QEMU_MINIMUM="1:10.0"
# A libvirt that compresses migrations over several channels, and all that its daemon loads.
NEW_LIBVIRT=11.3
NEW_LIBVIRT_PACKAGES="libvirt0 libvirt-common libvirt-daemon libvirt-daemon-common libvirt-daemon-log
  libvirt-daemon-driver-qemu libvirt-daemon-driver-network libvirt-daemon-driver-storage"
# Its firmware, taken from backports along with it.
FIRMWARE_PACKAGES="seabios"

fail() { # fail MESSAGE HINT
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 2
}

# Prints those of the packages given that are not installed.
missing_of() {
  local installed
  # db-fsys: names are printed only for packages dpkg knows; the rest is reported on stderr.
  installed=" $(dpkg-query -W -f '${db:Status-Abbrev}:${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^ii *://p' | tr '\n' ' ')"
  local name
  for name in "$@"; do
    [[ $installed == *" $name "* ]] || printf '%s ' "$name"
  done
}

# True when every QEMU package is there in a version that migrates emulated guests correctly.
qemu_is_right() {
  local count=0 status version
  while read -r status version; do
    [[ $status == ii ]] && dpkg --compare-versions "$version" ge "$QEMU_MINIMUM" && count=$((count + 1))
  done < <(dpkg-query -W -f '${db:Status-Abbrev} ${Version}\n' $QEMU_PACKAGES 2>/dev/null)
  [[ $count == $(wc -w <<<"$QEMU_PACKAGES") ]]
}

new_libvirt_is_there() { [[ -x $CACHE/libvirt-$NEW_LIBVIRT/usr/sbin/libvirtd ]]; }

kernel_is_there() { compgen -G "$CACHE/kernel/boot/vmlinuz-*" >/dev/null; }

# Runs a command as root.
as_root() {
  if [[ $EUID == 0 ]]; then "$@"; else sudo "$@"; fi
}

# Writes $CACHE/apt/sources.list: the machine's own Debian suites, and backports from the same
# place. apt itself is asked, so it does not matter in which format its sources are written.
write_private_sources() {
  local codename uri suite line options=""
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
  [[ $codename == bookworm ]] ||
    fail "the lab's libvirt and QEMU pair is Debian 12 (bookworm)'s, this machine has '$codename'" \
      "run the lab on Debian 12; everything but the lab works without it"
  [[ -r $KEYRING ]] && options="[signed-by=$KEYRING] "
  line=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    awk -v codename="$codename" '$2 ~ "^"codename && $3 == "main"' | sort -u)
  uri=$(awk -v codename="$codename" '$2 == codename { print $1; exit }' <<<"$line")
  [[ -n $uri ]] || fail "this machine's apt sources name no '$codename main'" \
    "add Debian's own archive to /etc/apt/sources.list.d"
  {
    while read -r uri suite _; do echo "deb $options$uri $suite main"; done <<<"$line"
    uri=$(awk -v codename="$codename" '$2 == codename { print $1; exit }' <<<"$line")
    grep -q "^[^ ]* $codename-backports " <<<"$line" || echo "deb $options$uri $codename-backports main"
  } | as_root tee "$CACHE/apt/sources.list" >/dev/null
}

# apt-get with the private sources, lists and archives.
private_apt() { # private_apt apt-get|apt-cache ARGUMENT...
  local tool=$1
  shift
  as_root env DEBIAN_FRONTEND=noninteractive "$tool" -q \
    -o Dir::Etc::sourcelist="$CACHE/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$CACHE/apt/lists" -o Dir::Cache="$CACHE/apt/cache" \
    -o DPkg::Lock::Timeout=600 "$@"
}

# Keeps the daemons of the packages being installed from starting; an own policy is left alone.
forbid_daemon_start() {
  [[ -e $POLICY ]] && return
  as_root tee "$POLICY" >/dev/null <<<$'#!/bin/sh\nexit 101'
  as_root chmod 755 "$POLICY"
  trap 'as_root rm -f "$POLICY"' EXIT
}

install_packages() { # install_packages REASON PACKAGE...
  local reason=$1
  shift
  echo "installing ($reason): $*"
  private_apt apt-get install -y --no-install-recommends "$@" >"$LOG" 2>&1 ||
    { tail -n 20 "$LOG" >&2; fail "apt could not install: $*" "the whole output is in $LOG"; }
}

# The guest kernel is only unpacked, never installed: an installed one would touch the boot loader.
fetch_kernel() {
  local package
  package=$(private_apt apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
  [[ -n $package ]] || fail "apt knows no linux-image-cloud-amd64" "check this machine's apt sources"
  echo "unpacking (kernel of the Linux guest, not installed): $package"
  as_root rm -rf "$CACHE/kernel" "$CACHE/download"
  as_root mkdir -p "$CACHE/download"
  (cd "$CACHE/download" && private_apt apt-get download "$package" >"$LOG" 2>&1) ||
    fail "apt could not download $package" "the whole output is in $LOG"
  as_root dpkg-deb -x "$CACHE"/download/linux-image-*.deb "$CACHE/download/tree"
  as_root mv "$CACHE/download/tree" "$CACHE/kernel"
  as_root rm -rf "$CACHE/download"
}

# Unpacked beside the system's own, which stays as it is.
fetch_new_libvirt() {
  local version name package
  version=$(private_apt apt-cache madison libvirt-daemon | awk -v new="$NEW_LIBVIRT" '
    index($3, new ".") == 1 { print $3; exit }')
  [[ -n $version ]] || fail "apt knows no libvirt $NEW_LIBVIRT" "bookworm-backports has it; check this machine's apt sources"
  echo "unpacking (libvirt for hosts of the lab, not installed): $version"
  as_root rm -rf "$CACHE/libvirt-$NEW_LIBVIRT" "$CACHE/download"
  as_root mkdir -p "$CACHE/download/tree"
  for name in $NEW_LIBVIRT_PACKAGES; do
    (cd "$CACHE/download" && private_apt apt-get download "$name=$version" >"$LOG" 2>&1) ||
      fail "apt could not download $name $version" "the whole output is in $LOG"
  done
  for package in "$CACHE"/download/*.deb; do as_root dpkg-deb -x "$package" "$CACHE/download/tree"; done
  as_root mv "$CACHE/download/tree" "$CACHE/libvirt-$NEW_LIBVIRT"
  as_root rm -rf "$CACHE/download"
}

main() {
  [[ $# -gt 0 ]] || fail "no group given" "use: $0 build libvirt lab lab-libvirt-$NEW_LIBVIRT"
  local wanted="" lab=no new=no group
  for group in "$@"; do
    case $group in
      build) wanted+=" $BUILD_PACKAGES" ;;
      libvirt) wanted+=" $LIBVIRT_PACKAGES" ;;
      lab) wanted+=" $LAB_PACKAGES" lab=yes ;;
      lab-libvirt-"$NEW_LIBVIRT") wanted+=" $LAB_PACKAGES" lab=yes new=yes ;;
      *) fail "no group '$group'" "groups: build libvirt lab lab-libvirt-$NEW_LIBVIRT" ;;
    esac
  done
  command -v dpkg-query >/dev/null || fail "this is not a Debian machine" "install the same packages by hand"

  local missing qemu=no kernel=no
  # shellcheck disable=SC2086 # the lists are words on purpose
  missing=$(missing_of $wanted)
  if [[ $lab == yes ]]; then
    qemu_is_right || qemu=yes
    kernel_is_there || kernel=yes
  fi
  if [[ $new == yes ]] && new_libvirt_is_there; then new=no; fi
  if [[ -z $missing && $qemu == no && $kernel == no && $new == no ]]; then
    echo "all packages for '$*' are there"
    return
  fi

  [[ $EUID == 0 ]] || command -v sudo >/dev/null || fail "missing: $missing, and this user is not root" "run as root"
  as_root mkdir -p "$CACHE/apt/lists/partial" "$CACHE/apt/cache/archives/partial"
  LOG=$(mktemp /tmp/whimbrel-packages.XXXXXX.log)
  # Two at a time would each take the other's policy file away.
  exec 9>/tmp/whimbrel-packages.lock
  flock 9
  write_private_sources
  private_apt apt-get update >"$LOG" 2>&1 || { tail -n 20 "$LOG" >&2; fail "apt could not read its sources" "see $LOG"; }
  forbid_daemon_start
  # shellcheck disable=SC2086
  [[ -z $missing ]] || install_packages "groups $*" $missing
  # shellcheck disable=SC2046,SC2086
  [[ $qemu == no ]] || install_packages "QEMU $QEMU_MINIMUM or newer" \
    $(printf '%s/bookworm-backports ' $QEMU_PACKAGES $FIRMWARE_PACKAGES)
  [[ $kernel == no ]] || fetch_kernel
  [[ $new == no ]] || fetch_new_libvirt
  rm -f "$LOG"
  echo "done"
}

main "$@"
