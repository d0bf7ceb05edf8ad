cd $RESULTS
# irqbalance is one that boots here and looks every second.
cp /run/lowlat/tree/lib/systemd/system/irqbalance.service /etc/systemd/system/ || exit 8
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s /etc/systemd/system/irqbalance.service /etc/systemd/system/multi-user.target.wants/
# A file that is read after lowlat's, with another value.
echo net.ipv4.tcp_autocorking = 1 >/etc/sysctl.d/99-mine.conf
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
	set_to boot.isolcpus host 1
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
keep

# The rollback without the program.
for s in $(ls -r $LOWLAT_STATE/journal/*.rollback.sh); do sh -x $s || echo "$s failed"; done >scripts 2>&1
seen >scripted
files >files-left
