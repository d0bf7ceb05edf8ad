#!/bin/sh
# Runs the script of a guest that booted from its own disk, once all units of the boot are up, and powers it off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root RESULTS=/run/lowlat/results
exec >/dev/console 2>&1
done_with() {
	echo "lowlat-lab: $*"
	# The file system has no journal, so that the boot loader finds all of it where it belongs.
	sync
	systemctl --force --force poweroff
	sleep 1000
}
o=trans=virtio,version=9p2000.L,msize=524288
mkdir -p /run/lowlat/ctl $RESULTS
mount -t 9p -o ro,$o,cache=loose ctl /run/lowlat/ctl || done_with "init failed: mount ctl"
mount -t 9p -o $o,cache=none results $RESULTS || done_with "init failed: mount results"
while read -r tag mode path; do
	[ -n "$tag" ] || continue
	mkdir -p "$path"
	[ "$mode" = ro ] && c=,cache=loose || c=,cache=none
	mount -t 9p -o "$mode,$o$c" "$tag" "$path" || done_with "init failed: mount share $path"
done </run/lowlat/ctl/shares
read -r up rest </proc/uptime
echo "lowlat-lab: ready $up"
/bin/sh /run/lowlat/ctl/script </dev/null
done_with "exit $?"
