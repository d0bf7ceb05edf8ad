said_by_boot >units 2>&1
cat /proc/cmdline >cmdline-2
I=$(grep -lx $(cat mac) /sys/class/net/*/address | cut -d/ -f5)
echo $I >name-2
wait_for_carrier
line >line-2
# irqbalance looks every second.
sleep 5
seen >booted
tr '\0' ' ' </proc/$(grep -lx irqbalance /proc/[0-9]*/comm | cut -d/ -f3 | head -1)/cmdline >irqbalance
other=eth0
[ $I = eth0 ] && other=eth1
ethtool -g $other | sed -n 's/^RX:[^0-9]*//p' | tail -1 >other-ring
$L status >status 2>&1
set_to sysctl.net.ipv4.tcp_notsent_lowat host 16384
$L persist >>status 2>&1
cat $(files | sed s,^,/,) >kept-again
tar -C / -cf carried-2.tar $(files) var/lib/lowlat || exit 4
$L rollback >rollback 2>&1
seen >rolled-back
files >files
cp /boot/grub/custom.cfg custom-rolled-back.cfg

# As if that had not been: now the files alone go.
tar -C / -xf carried-2.tar || exit 4
$L persist --remove >removed 2>&1
echo $? >removed-exit
files >files-removed
$L persist --remove >removed-again 2>&1
rm -f /etc/default/grub.d/*lowlat* /etc/modprobe.d/lab.conf /etc/systemd/system/lab-late.service \
	/etc/systemd/system/sysinit.target.wants/lab-late.service
cp /boot/grub/custom.cfg custom-removed.cfg
cat /boot/grub/grubenv >grubenv-2
# Nothing else may move the interrupt of the next boot.
rm /etc/systemd/system/multi-user.target.wants/irqbalance.service
exit 0
