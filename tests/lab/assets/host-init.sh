#!/bin/bash
# Process 1 of a lab host: makes the host's own view of the machine and keeps its libvirtd running.
#
#   host-init.sh NAME DIRECTORY [LIBVIRT]
#
# It starts inside fresh mount, uts, ipc and pid namespaces and the host's network namespace.
# DIRECTORY holds etc/ (the host's own files in /etc, prepared beforehand) and receives init.pid,
# var/ (its disk) and console.log. LIBVIRT holds the usr/ of another libvirt than the installed one.
# Nothing that is mounted here is seen outside.
set -eu
name=$1 directory=$2 libvirt=${3-}

# /proc is still the machine's, so this is the process id that the machine knows this shell by. The
# start time tells it from a later process with the same number.
read -r -a stat </proc/self/stat
echo "${stat[0]} ${stat[21]}" >"$directory/init.pid"

# A pipe or lock inherited from whoever started the lab must not live as long as the host.
for descriptor in /proc/self/fd/*; do
  number=${descriptor##*/}
  [[ $number -gt 2 && $number != 255 ]] && eval "exec $number>&-"
done

hostname "$name"
mount --make-rprivate /
mount -t proc proc /proc

# Own /etc and /var over the machine's: a power cut keeps what was written, as a disk does.
mkdir -p "$directory"/{etc,var,scratch/etc,scratch/var,dev}
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$directory/etc,workdir=$directory/scratch/etc" /etc
mount -t overlay overlay -o "lowerdir=/var,upperdir=$directory/var,workdir=$directory/scratch/var" /var
# Another libvirt lies over the installed one; its modules alone are seen, as each loads into its own only.
if [[ -n $libvirt ]]; then
  mount -t overlay overlay -o "lowerdir=$libvirt/usr:/usr" /usr
  for modules in "$libvirt"/usr/lib/*/libvirt; do
    mount --bind "$modules" "${modules#"$libvirt"}"
  done
fi
# Copies of other namespaces' handles would keep them alive as long as this host.
umount --recursive --lazy /run/netns 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock

# Own /dev without kvm: every guest is emulated, on any machine.
dev=$directory/dev
mount -t tmpfs -o mode=755 tmpfs "$dev"
mkdir -p "$dev"/{pts,shm,net}
for device in null zero full random urandom tty userfaultfd net/tun; do
  [[ -e /dev/$device ]] && cp -a "/dev/$device" "$dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$dev/pts"
mount -t tmpfs tmpfs "$dev/shm"
ln -s pts/ptmx "$dev/ptmx"
ln -s /proc/self/fd "$dev/fd"
mount --move "$dev" /dev

# libvirt listens for incoming migrations here; no outgoing connection may take one of the ports.
echo 16509,16514,49152-49215 >/proc/sys/net/ipv4/ip_local_reserved_ports
mkdir -p /var/lib/libvirt /var/log/libvirt/qemu /var/cache/libvirt

# As an init system would: a libvirtd that ends is started again; running guests do not notice.
while true; do
  /usr/sbin/libvirtd --listen </dev/null || true
  echo "libvirtd ended, starting it again"
  sleep 0.5
done
