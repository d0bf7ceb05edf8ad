cd $RESULTS
# The interface comes late, under the other's name and with the other's interrupt numbers: udev loads the driver, and the
# second card is bound first.
a=$(basename $(readlink /sys/class/net/eth0/device))
b=$(ls /sys/bus/pci/drivers/igb | grep -v $a | grep ^0000)
/run/lowlat/busybox rmmod igb || exit 5
echo 0 >/sys/bus/pci/drivers_autoprobe
(
	until [ -e /sys/bus/pci/drivers/igb/bind ]; do sleep 0.1; done
	sleep 2
	for card in $b $a; do echo $card >/sys/bus/pci/drivers/igb/bind; done
) >/dev/null 2>&1 &
start_systemd

I=$(grep -lx $(cat mac) /sys/class/net/*/address | cut -d/ -f5)
echo $I >name-2
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

# As if that had not been: now the files alone go.
tar -C / -xf carried-2.tar || exit 4
$L persist --remove >removed 2>&1
echo $? >removed-exit
files >files-removed
$L persist --remove >removed-again 2>&1
rm -f /etc/default/grub.d/*lowlat*
keep
exit 0
