. "$(dirname "$0")/lib.sh"
net
far $BIN serve --bind $ADDRESS --cpu 0
for e in block spin; do
a=$(near cat /sys/class/net/lan0/statistics/{tx,rx}_packets | xargs)
n=$(near $BIN measure $ADDRESS --proto tcp --engine $e --cpu 0 --duration 1s --json | grep -m1 '"sent"')
b=$(near cat /sys/class/net/lan0/statistics/{tx,rx}_packets | xargs)
echo $e $n $a $b; done
stop_far
