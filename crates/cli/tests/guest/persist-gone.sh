cd $RESULTS
start_systemd
seen >gone
$L status >status-3 2>&1

# Others that turn the same knobs, for real.
for d in etc/NetworkManager etc/tuned usr/lib/tuned; do mkdir -p /$d; mount --bind $R/$d /$d || exit 4; done
mkdir -p /etc/NetworkManager/system-connections
echo network-latency >/etc/tuned/active_profile
echo manual >/etc/tuned/profile_mode
cat >/etc/NetworkManager/system-connections/lan.nmconnection <<END
[connection]
id=lan
uuid=5d1b5d7e-0000-4000-8000-000000000001
type=ethernet
interface-name=eth0
[ethtool]
coalesce-rx-usecs=40
[ipv4]
method=manual
address1=10.77.0.1/24
[ipv6]
method=disabled
END
chmod 600 /etc/NetworkManager/system-connections/lan.nmconnection
set_to sysctl.net.core.busy_read host 20
set_to nic.coalesce.rx-usecs eth0 10
sc stop systemd-networkd >daemons 2>&1
sc start dbus NetworkManager tuned >>daemons 2>&1
mkdir -p /run/NetworkManager $R/run/NetworkManager
mount --bind $R/run/NetworkManager /run/NetworkManager
i=0
until [ "$(cat /proc/sys/net/core/busy_read)" = 50 ] && ethtool -c eth0 | grep -q '^rx-usecs:[^0-9]*40$'; do
	i=$((i + 1))
	[ $i -lt 300 ] || break
	sleep 0.2
done
sc --no-pager status dbus NetworkManager tuned >>daemons 2>&1
dmesg | tail -60 >>daemons
$L status --json >taken 2>>daemons

# And the other way round: they run when lowlat comes.
over() { $L plan --set "$1" "$2" "$3" --out /tmp/plan >/dev/null && $L apply /tmp/plan; }
{
	over sysctl.net.core.busy_read host 20
	over nic.coalesce.rx-usecs eth0 10
	over irq.affinity eth0/irq-1 1
} >/dev/null 2>said_by_apply
$L persist --print >print-3 2>&1
echo $? >print-3-exit
exit 0
