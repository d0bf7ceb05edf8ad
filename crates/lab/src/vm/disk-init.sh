#!/bin/sh
# First process of a guest that boots from its own disk: reaches the disk, and gives way to its init.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
die() {
	echo "lowlat-lab: init failed: $*"
	poweroff -f
	sleep 1000
}
for m in $(cat /boot-modules); do insmod "$m" || die "insmod $m"; done
for word in $(cat /proc/cmdline); do
	case $word in root=*) root=${word#root=} ;; esac
done
i=0
until [ -b "$root" ]; do
	i=$((i + 1))
	[ $i -lt 600 ] || die "no disk $root"
	sleep 0.1
done
mkdir -p /root
mount -t ext4 "$root" /root || die "mount $root"
for d in dev proc sys; do mount -o move /$d /root/$d || die "move $d"; done
exec busybox switch_root /root /lib/systemd/systemd
