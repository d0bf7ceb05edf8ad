#!/bin/sh
# First process of a lab guest. Everything a run needs beyond the kernel comes over 9p:
#   hostroot  the host's root, read-only      modules  this kernel's modules, read-only
#   ctl       the script and the mount list   results  writable
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
die() {
	echo "lowlat-lab: init failed: $*"
	poweroff -f
	sleep 1000
}
for m in $(cat /boot-modules); do insmod "$m" || die "insmod $m"; done

# 512 KiB: with the default message size a read of a large binary takes many more exchanges, each slow without KVM.
o=trans=virtio,version=9p2000.L,msize=524288,cache=loose
mkdir -p /lib/modules /host /ctl /root
mount -t 9p -o ro,$o modules /lib/modules || die "mount modules"
mount -t 9p -o ro,$o hostroot /host || die "mount the host's root"
mount -t 9p -o ro,$o ctl /ctl || die "mount ctl"
# What this first root holds of the host's programs is already above the host's root, in memory.
mkdir -p /rw/up /rw/work
mount -t overlay -o lowerdir=/host,upperdir=/rw/up,workdir=/rw/work overlay /root || die "mount overlay"
for d in dev proc sys; do
	mkdir -p /root/$d
	mount --bind /$d /root/$d
done
mount -t tmpfs tmpfs /root/run
mount -t tmpfs tmpfs /root/tmp
mount -t tmpfs tmpfs /root/dev/shm
mount -t devpts devpts /root/dev/pts
mount -t bpf bpf /root/sys/fs/bpf 2>/dev/null
mount -t tracefs tracefs /root/sys/kernel/tracing 2>/dev/null
mount -t debugfs debugfs /root/sys/kernel/debug 2>/dev/null
mkdir -p /root/run/lowlat/results /root/run/lowlat/host /root/run/netns
# What the folders above now hide, a checkout below /tmp say, is still to be found (`in_guest`).
mount --bind /host /root/run/lowlat/host || die "bind the host's root"
# Through a chroot, so that links such as lib -> usr/lib are followed inside the new root.
chroot /root mkdir -p /lib/modules
mount --bind /lib/modules /root/usr/lib/modules || die "bind modules"
mount -t 9p -o $o,cache=none results /root/run/lowlat/results || die "mount results"
while read -r tag mode path; do
	[ -n "$tag" ] || continue
	mkdir -p "/root$path"
	# What only the host writes may be cached: a program is read once, not at every start.
	[ "$mode" = ro ] && c= || c=,cache=none
	mount -t 9p -o "$mode,$o$c" "$tag" "/root$path" || die "mount share $path"
done </ctl/shares
cp /ctl/setup /ctl/script /root/run/lowlat/
cp /bin/busybox /root/run/lowlat/busybox
for m in $(cat /ctl/modules); do modprobe "$m" || die "modprobe $m"; done
ip link set lo up
hostname lowlat-lab
echo "lowlat-lab: ready $(cut -d' ' -f1 /proc/uptime)"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root RESULTS=/run/lowlat/results
/bin/busybox chroot /root /bin/sh /run/lowlat/setup </dev/null || die "topology setup"
/bin/busybox chroot /root /bin/sh /run/lowlat/script </dev/null
code=$?
export PATH=/bin
echo "lowlat-lab: exit $code"
sync
poweroff -f
sleep 1000
