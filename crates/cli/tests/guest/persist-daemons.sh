# The others that set the same: tuned and NetworkManager, as Debian has them. Follows persist-gone.sh, in its boot.
busy_read_is() { [ "$(cat /proc/sys/net/core/busy_read)" = "$1" ]; }
ring_is() { [ "$(ethtool -g $I | sed -n 's/^RX:[^0-9]*//p' | tail -1)" = "$1" ]; }
usecs_are() { ethtool -c $I | grep -q "^rx-usecs:[^0-9]*$1\$"; }

mkdir -p /etc/tuned/lab /etc/tuned/exported
cat >/etc/NetworkManager/system-connections/lan.nmconnection <<END
[connection]
id=lan
uuid=5d1b5d7e-0000-4000-8000-000000000001
type=ethernet
interface-name=$I
[ethtool]
coalesce-rx-usecs=40
[ipv4]
method=manual
address1=10.77.0.1/24
[ipv6]
method=disabled
END
chmod 600 /etc/NetworkManager/system-connections/lan.nmconnection
# A profile of Debian's, and a NIC setting as an administrator adds it.
printf '[main]\ninclude=network-latency\n[lan]\ntype=net\ndevices=%s\nring=rx 1024\n' $I >/etc/tuned/lab/tuned.conf

# lowlat is there first, and then they come.
set_to sysctl.net.core.busy_read host 20
set_to nic.coalesce.rx-usecs $I 10
set_to nic.ring.rx $I 512
{
	systemctl stop systemd-networkd
	systemctl start dbus NetworkManager tuned irqbalance
	nmcli --wait 60 connection up lan
	tuned-adm profile lab
} >daemons 2>&1
{
	until_so busy_read_is 50 && until_so ring_is 1024 && until_so usecs_are 40
	echo "taken over: $?"
	systemctl --no-pager status dbus NetworkManager tuned
	tail -40 /var/log/tuned/tuned.log
} >>daemons 2>&1
$L status --json >taken 2>>daemons

# And the other way round: they run when lowlat comes.
over() { $L plan --set "$1" "$2" "$3" --out /tmp/plan >/dev/null 2>>named_by_plan && $L apply /tmp/plan >/dev/null 2>>named_by_apply; }
over sysctl.net.core.busy_read host 20
over nic.coalesce.rx-usecs $I 10
over nic.ring.rx $I 512
over irq.affinity $I/irq-1 1
$L persist >persist-daemons 2>&1
echo $? >persist-daemons-exit
cat $(files | sed s,^,/,) >kept-daemons
# tuned yields to files of sysctl.d, as the owners say, and to no other.
{
	systemctl restart tuned
	until_so ring_is 1024
} >>daemons 2>&1
until_so busy_read_is 20
cat /proc/sys/net/core/busy_read >busy-read-restarted
# tuned first, which puts back what it found: lowlat's.
tuned-adm off >>daemons 2>&1
$L rollback --force >rollback-daemons 2>&1

# The exported profile in a real tuned.
seen >export-before
$L plan --set sysctl.net.core.busy_read host 50 --set nic.feature.gro $I off --set nic.coalesce.rx-usecs $I 10 \
	--set nic.ring.rx $I 512 --set nic.channels.combined $I 1 --set steer.rps $I/rx-0 1 --set memory.hugepages node0 16 \
	--export tuned --out /etc/tuned/exported/tuned.conf >exported 2>&1
cat /etc/tuned/exported/tuned.conf >>exported
tuned-adm profile exported >>exported 2>&1
echo "profile: $?" >>exported
seen >export-set
tuned-adm verify >>exported 2>&1
echo "verify: $?" >>exported
tuned-adm off >>exported 2>&1
echo "off: $?" >>exported
seen >export-off
tail -60 /var/log/tuned/tuned.log >>exported
exit 0
