# Runs in a guest of the VM lab: LOWLAT measures a veth pair on which netem does known things, while it is stopped for a
# known time, and while the wall clock is set. $LOWLAT is the program; each document goes to $RESULTS/NAME.json.
set -e
ip netns add t-near
ip netns add t-far
ip -n t-near link add a0 type veth peer name b0 netns t-far
ip -n t-near addr add 198.18.0.1/24 dev a0
ip -n t-far addr add 198.18.0.2/24 dev b0
ip -n t-near link set a0 up
ip -n t-far link set b0 up
ip netns exec t-far "$LOWLAT" serve --bind 198.18.0.2 >/dev/null 2>&1 &
server=$!
sleep 3
measure() {
	name=$1
	shift
	ip netns exec t-near "$LOWLAT" measure 198.18.0.2 --json "$@" >"$RESULTS/$name.json" 2>"$RESULTS/$name.err" ||
		echo "$name: exit $?" >>"$RESULTS/failed"
}
# Taken off first: `replace` would keep the distribution and the correlations of the one before.
netem() {
	tc -n t-near qdisc del dev a0 root 2>/dev/null || :
	tc -n t-near qdisc add dev a0 root netem "$@"
}
open_loop() {
	name=$1 rate=$2
	shift 2
	measure "$name" --mode open-loop --rate "$rate" "$@"
}

measure base --duration 60s --count 1500
netem delay 10ms
measure delay --duration 60s --count 300
netem delay 10ms 2ms distribution normal
measure normal --duration 60s --count 2000
netem delay 10ms 2ms
measure uniform --duration 60s --count 1000
netem loss 5%
open_loop loss 2000 --duration 60s --count 4000 --timeout 100ms
netem duplicate 5%
open_loop duplicate 2000 --duration 60s --count 4000 --timeout 100ms
# Every fifth packet goes at once, the others 15 ms later: at a gap of 10 ms it overtakes the one before it, no other.
netem delay 15ms reorder 100% gap 5
open_loop reorder 100 --duration 60s --count 500
# 106 bytes a frame: 1 179 a second.
netem rate 1mbit limit 50
open_loop capacity 3000 --duration 60s --count 6000 --timeout 500ms
tc -n t-near qdisc del dev a0 root
measure sweep --sweep rate=200,500,1000 --duration 1s

open_loop freeze-server 500 --duration 6s &
job=$!
sleep 3
kill -STOP $server
sleep 0.3
kill -CONT $server
wait $job

# The program itself, not the shell around it.
ip netns exec t-near "$LOWLAT" measure 198.18.0.2 --json --duration 6s --mode open-loop --rate 500 >"$RESULTS/freeze-client.json" 2>/dev/null &
job=$!
sleep 3
kill -STOP $job
sleep 0.3
kill -CONT $job
wait $job || echo "freeze-client: exit $?" >>"$RESULTS/failed"

# Many times, so that some probes are under way while it is set: their stamps lie on both sides of the step.
open_loop clock 500 --duration 6s --stamps &
job=$!
sleep 1
i=0
while [ $i -lt 100 ]; do
	date -s '2031-03-04 05:06:07' >/dev/null
	date -s '2021-03-04 05:06:07' >/dev/null
	i=$((i + 1))
done
wait $job
date +%Y >"$RESULTS/year"
