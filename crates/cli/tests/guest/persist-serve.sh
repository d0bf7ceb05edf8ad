# The unit of the package in a real systemd; it is at its place already. Follows persist-gone.sh, in its boot.
ln -sf $L /usr/bin/lowlat
echo 'LOWLAT_SERVE_OPTIONS="--stamp"' >/etc/default/lowlat-serve
systemctl daemon-reload
{
	SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no lowlat-serve.service
	echo "verify: $?"
	systemd-analyze security --threshold=25 --no-pager lowlat-serve.service
	echo "confined: $?"
} >serve-analyzed 2>&1
answers() { $L measure 127.0.0.1 --count 50 >/dev/null 2>&1; }
main() { systemctl show --value -p MainPID lowlat-serve.service; }
is_another() { [ "$(main)" != 0 ] && [ "$(main)" != "$1" ]; }
{
	systemctl start lowlat-serve.service
	until_so answers
	echo "answers: $?"
	# A port below 1024, by the unit's own capability.
	$L measure 127.0.0.1 --peer stamp --count 20
	echo "stamp: $?"
	first=$(main)
	cat /proc/$first/status
	kill -KILL $first
	until_so is_another $first && until_so answers
	echo "again: $?"
	cat /sys/kernel/security/lsm
	echo
	systemctl show -p NRestarts lowlat-serve.service
	systemctl stop lowlat-serve.service
	systemctl show -p ActiveState -p Result lowlat-serve.service
	systemctl --no-pager status lowlat-serve.service
	dmesg | grep lowlat
} >serve 2>&1
# By XDP, with what the unit's own comment says.
D=/run/systemd/system/lowlat-serve.service.d
mkdir -p $D
{
	echo '[Service]'
	sed -n 's/^# bound. --xdp needs \(CAP_BPF\), \(CAP_[A-Z_]*\) and \(CAP_[A-Z_]*\) in both lines, and \(.*\)\.$/AmbientCapabilities=\1 \2 \3\nCapabilityBoundingSet=\1 \2 \3\n\4/p' \
		/lib/systemd/system/lowlat-serve.service
} >$D/xdp.conf
echo 'LOWLAT_SERVE_OPTIONS="--xdp xdp0"' >/etc/default/lowlat-serve
has_program() { ip link show xdp0 | grep -q xdpgeneric; }
{
	ip link add xdp0 type veth peer name xdp1 && ip address add 198.18.9.1/24 dev xdp0 && ip link set xdp1 up && ip link set xdp0 up
	systemctl daemon-reload
	systemctl start lowlat-serve.service
	until_so has_program
	echo "xdp: $?"
	cat $D/xdp.conf
	systemctl --no-pager status lowlat-serve.service
	systemctl stop lowlat-serve.service
	ip link del xdp0
} >serve-xdp 2>&1
rm -r $D /usr/bin/lowlat /etc/default/lowlat-serve
systemctl daemon-reload
