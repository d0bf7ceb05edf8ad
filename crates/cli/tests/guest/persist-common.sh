L=/usr/local/bin/lowlat
FOLDERS="etc/sysctl.d etc/tmpfiles.d etc/systemd/system etc/default/grub.d etc/udev/rules.d boot/grub"
I=eth0
cd $RESULTS
# The program is on the disk, where a unit of the next boot finds it.
mkdir -p /usr/local/bin
[ -x $L ] || cp /run/lowlat/bin/lowlat.stripped $L || exit 5
$L --version >/dev/null || exit 7

# Every setting as text, a line each.
seen() {
	echo slow_start_after_idle $(cat /proc/sys/net/ipv4/tcp_slow_start_after_idle)
	echo busy_read $(cat /proc/sys/net/core/busy_read)
	echo gro $(ethtool -k $I | sed -n 's/^generic-receive-offload: //p')
	echo rx-usecs $(ethtool -c $I | sed -n 's/^rx-usecs:[^0-9]*//p')
	echo ring $(ethtool -g $I | sed -n 's/^RX:[^0-9]*//p' | tail -1)
	echo channels $(ethtool -l $I | sed -n 's/^Combined:[^0-9]*//p' | tail -1)
	echo qdisc $(tc qdisc show dev $I root | sed -n '1s/^qdisc \([a-z]*\) .* root \(refcnt [0-9]* \)*\(limit [0-9p]*\)*.*/\1 \3/p')
	n=0
	for i in $(ls /sys/class/net/$I/device/msi_irqs | sort -n); do
		grep -q . /sys/kernel/irq/$i/actions || continue
		[ $n = 1 ] && echo irq $n cpu $(cat /proc/irq/$i/smp_affinity_list)
		n=$((n + 1))
	done
	echo rps $(cat /sys/class/net/$I/queues/rx-0/rps_cpus)
	echo xps $(cat /sys/class/net/$I/queues/tx-0/xps_cpus)
	echo hugepages $(cat /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages)
	echo dma-latency $(od -An -td4 -N4 /dev/cpu_dma_latency)
}

files() { (cd / && find $FOLDERS -name '*lowlat*' -type f); }

set_to() { # KNOB TARGET VALUE
	$L plan --set "$1" "$2" "$3" --out /tmp/plan >/dev/null && $L apply /tmp/plan >/dev/null
}

# The number of the line that is set.
line() { ls /sys/class/net/$I/device/msi_irqs | sort -n | while read -r i; do grep -qs . /sys/kernel/irq/$i/actions && echo $i; done | sed -n 2p; }

# What the boot said of its units.
said_by_boot() {
	dmesg | grep 'systemd\[1\]'
	cat /etc/systemd/system/lowlat*.service /etc/udev/rules.d/*lowlat* 2>/dev/null
	systemctl --no-pager status lowlat.service lowlat-dma-latency.service irqbalance.service systemd-networkd.service
}
enable() { ln -sf /lib/systemd/system/$1 /etc/systemd/system/multi-user.target.wants/; }
# networkd brings the interface up, which network.target does not wait for; the queues have their qdiscs and interrupts then.
wait_for_carrier() {
	i=0
	until [ "$(cat /sys/class/net/$I/carrier 2>/dev/null)" = 1 ]; do
		i=$((i + 1))
		[ $i -lt 300 ] || exit 8
		sleep 0.1
	done
}
# What waits for a program that was started has this patience; nothing is timed.
until_so() { # COMMAND...
	i=0
	until "$@"; do
		i=$((i + 1))
		[ $i -lt 600 ] || return 1
		sleep 0.2
	done
}
