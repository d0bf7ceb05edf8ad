# The host: networkd brings the interface up, which network.target does not wait for, and irqbalance is one that boots and
# looks every second.
mkdir -p /etc/systemd/network /etc/systemd/system/multi-user.target.wants
# udev loads the driver when it comes to it, which no unit before this one waits for.
i=0
until [ -s /sys/class/net/eth0/address ]; do
	i=$((i + 1))
	[ $i -lt 600 ] || exit 9
	sleep 0.1
done
printf '[Match]\nMACAddress=%s\n[Network]\nAddress=10.77.0.1/24\n' $(cat /sys/class/net/eth0/address) \
	>/etc/systemd/network/10-lan.network
echo IRQBALANCE_ARGS=--interval=1 >/etc/default/irqbalance
enable systemd-networkd.service
enable irqbalance.service
systemctl daemon-reload
systemctl start systemd-networkd
wait_for_carrier
# A file that is read after lowlat's, with another value.
echo net.ipv4.tcp_autocorking = 1 >/etc/sysctl.d/99-mine.conf
# The boot loader's menu, by the host's own program, and what somebody added to it.
update-grub >grub 2>&1 || exit 8
printf 'set mine=1' >/boot/grub/custom.cfg
cat /proc/cmdline >cmdline-1
cat /sys/class/net/eth0/address >mac
line >line-1
seen >before
{
	# The interrupt before the rings and channels, whose link reset forgets it.
	set_to irq.affinity eth0/irq-1 1
	set_to sysctl.net.ipv4.tcp_slow_start_after_idle host 0
	set_to sysctl.net.ipv4.tcp_autocorking host 0
	set_to sysctl.net.core.busy_read host 50
	set_to nic.feature.gro eth0 off
	set_to nic.coalesce.rx-usecs eth0 10
	set_to steer.rps eth0/rx-0 1
	set_to nic.ring.rx eth0 512
	set_to nic.channels.combined eth0 1
	set_to qdisc.kind eth0/qdisc-root 'pfifo limit 500'
	set_to steer.xps eth0/tx-0 1
	set_to cpu.dma-latency host 20
	set_to memory.hugepages node0 16
	set_to boot.skew_tick host 1
} 2>said
set_to cpu.governor cpu0 performance 2>governor
seen >set
files >files-printed-before
$L persist --print >print 2>&1
echo $? >print-exit
files >files-printed
$L persist >persist 2>&1
echo $? >persist-exit
files >files-written
cp /boot/grub/custom.cfg .
# What the next update-grub would give every boot; it is not taken over before the parameter has booted once.
grub-mkconfig >mkconfig 2>>grub
grub-script-check /boot/grub/custom.cfg >custom-checked 2>&1
echo $? >>custom-checked

# The rollback without the program, as if all that had not been.
tar -C / -cf carried-1.tar $FOLDERS var/lib/lowlat || exit 4
for s in $(ls -r /var/lib/lowlat/journal/*.rollback.sh); do sh -x $s || echo "$s failed"; done >scripts 2>&1
seen >scripted
files >files-left
tar -C / -xf carried-1.tar || exit 4

# In the next boot the interface comes late, under the other's name and with the other's interrupt numbers: the second card is
# bound first.
a=$(basename $(readlink /sys/class/net/eth0/device))
b=$(ls /sys/bus/pci/drivers/igb | grep -v $a | grep ^0000)
echo blacklist igb >/etc/modprobe.d/lab.conf
cat >/lab/late <<END
echo 0 >/sys/bus/pci/drivers_autoprobe
modprobe igb
sleep 2
echo $b >/sys/bus/pci/drivers/igb/bind
echo $a >/sys/bus/pci/drivers/igb/bind
END
printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sh /lab/late\n' >/etc/systemd/system/lab-late.service
mkdir -p /etc/systemd/system/sysinit.target.wants
grub-reboot a-lowlat >>grub 2>&1 || exit 8
ln -sf /etc/systemd/system/lab-late.service /etc/systemd/system/sysinit.target.wants/
exit 0
