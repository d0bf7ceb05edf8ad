# Boots the disk's systemd, and waits until it is up.
start_systemd() {
	mkdir -p $R /run/lowlat/over
	mount -t tmpfs tmpfs /run/lowlat/over
	mkdir /run/lowlat/over/up /run/lowlat/over/work
	mount -t overlay -o lowerdir=/run/lowlat/tree,upperdir=/run/lowlat/over/up,workdir=/run/lowlat/over/work overlay $R || exit 4
	for d in $FOLDERS; do mkdir -p $R/$d; mount --bind /$d $R/$d || exit 4; done
	echo IRQBALANCE_ARGS=--interval=1 >$R/etc/default/irqbalance
	mount -t proc proc $R/proc
	for d in sys dev lib/modules; do mkdir -p $R/$d; mount --bind /$d $R/$d || exit 4; done
	mount -t devpts devpts $R/dev/pts
	mount -t tmpfs tmpfs $R/dev/shm
	# Mounted before it starts, so that systemd leaves it, and what it says there can be read from outside.
	mount -t tmpfs -o mode=755 tmpfs $R/run
	mount -t cgroup2 cgroup2 /sys/fs/cgroup && mount --bind /sys/fs/cgroup $R/sys/fs/cgroup || exit 4

	# The program is built against the C library of the outer root and runs there; its path is the same.
	mkdir -p $R/run/lowlat/bin $R/outer
	mount --rbind / $R/outer || exit 4
	printf '#!/bin/sh\nexec chroot /outer %s "$@"\n' $L >$R$L
	chmod 755 $R$L

	# What this boot does not need.
	for u in getty.target systemd-logind.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
		systemd-journal-flush.service systemd-firstboot.service systemd-sysusers.service systemd-random-seed.service \
		systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-repart.service systemd-binfmt.service \
		systemd-machine-id-commit.service proc-sys-fs-binfmt_misc.automount dev-hugepages.mount dev-mqueue.mount \
		sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
		systemd-user-sessions.service systemd-initctl.socket systemd-journald-audit.socket systemd-rfkill.socket \
		systemd-ask-password-wall.path systemd-ask-password-console.path systemd-tmpfiles-clean.timer \
		systemd-tmpfiles-setup-dev.service kmod-static-nodes.service systemd-hwdb-update.service; do
		ln -sf /dev/null /etc/systemd/system/$u
	done
	# networkd brings the interface up, which network.target does not wait for.
	mkdir -p $R/etc/systemd/network /etc/systemd/system/multi-user.target.wants
	printf '[Match]\nMACAddress=%s\n[Network]\nAddress=10.77.0.1/24\n' $(cat $RESULTS/mac) \
		>$R/etc/systemd/network/10-lan.network
	ln -sf /lib/systemd/system/systemd-networkd.service /etc/systemd/system/multi-user.target.wants/
	# An emulated machine on a busy host is slow, so no unit's patience says anything here.
	mkdir -p $R/etc/systemd/system.conf.d
	printf '[Manager]\nDefaultTimeoutStartSec=900\n' >$R/etc/systemd/system.conf.d/10-lab.conf
	cat >/etc/systemd/system/booted.service <<END
[Unit]
Requires=multi-user.target
After=multi-user.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/touch /run/booted
END
	unshare --pid --fork --kill-child --mount-proc=$R/proc chroot $R /lib/systemd/systemd --unit=booted.service \
		--log-target=kmsg --show-status=0 </dev/null >/dev/null 2>&1 &
	i=0
	while [ ! -e $R/run/booted ]; do
		i=$((i + 1))
		[ $i -lt 900 ] || break
		sleep 0.2
	done
	dmesg | grep 'systemd\[1\]' >units
	cat /etc/systemd/system/lowlat*.service /etc/udev/rules.d/*lowlat* >>units 2>/dev/null
	sc --no-pager status lowlat.service lowlat-dma-latency.service irqbalance.service >>units 2>&1
	[ -e $R/run/booted ] || exit 6
}
