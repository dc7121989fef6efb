#!/bin/busybox sh
# Process 1 of the Linux guest: drivers, network, then the load. Everything is told by the kernel's
# command line: ip4=ADDRESS, and after "load:" the load's first settings.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module.ko"; done </modules/order

command_line=$(cat /proc/cmdline)
for word in $command_line; do
  case $word in ip4=*) address=${word#ip4=} ;; esac
done
ip link set lo up
if [ -n "$address" ]; then
  ip link set eth0 up
  ip addr add "$address" dev eth0
fi
/bin/dirtier /dev/ttyS1 "${command_line#*load:}"
echo "the load has ended: $?"
poweroff -f
