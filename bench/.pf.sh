. "$(dirname "$0")/lib.sh"
net
far $BIN serve --bind $ADDRESS --cpu 0
near $BIN measure $ADDRESS --proto $1 --engine block --cpu 0 --duration 4s --json >/dev/null &
M=$!; sleep 0.5
perf record -q -e cpu-clock -F 15000 -C 0 -o /tmp/hp/p.data -- sleep 2.5 >/dev/null 2>&1
wait $M; stop_far
perf report -i /tmp/hp/p.data --no-children --stdio --sort comm,dso 2>/dev/null | grep -v "^#" | grep -v "^$" | head -12
perf report -i /tmp/hp/p.data --no-children --stdio --sort dso,sym 2>/dev/null | grep -v "^#" | grep -v "^$" | head -${2:-60}
