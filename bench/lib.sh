# Shared by the benchmarks: two network namespaces joined by a veth link, and medians of ratios.
# Needs root, iproute2 and a release build (`cargo build --release`). Sourced, not run.
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/goals.sh
BIN=${LOWLAT_BIN:-target/release/lowlat}
[ -x "$BIN" ] || { echo "bench: $BIN is missing; run cargo build --release" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "bench: network namespaces need root" >&2; exit 2; }
NEAR=lowlat-bench-near-$$ FAR=lowlat-bench-far-$$ ADDRESS=198.18.7.2
PIDS=()
WORK=$(mktemp -d)

tidy() {
  for pid in "${PIDS[@]:-}"; do [ -z "$pid" ] || kill "$pid" 2>/dev/null || :; done
  ip netns del "$NEAR" 2>/dev/null || :
  ip netns del "$FAR" 2>/dev/null || :
  rm -rf "$WORK"
}
trap tidy EXIT

net() {
  ip netns add "$NEAR"
  ip netns add "$FAR"
  ip -n "$NEAR" link add lan0 type veth peer name lan1 netns "$FAR"
  ip -n "$NEAR" addr add 198.18.7.1/24 dev lan0
  ip -n "$FAR" addr add "$ADDRESS/24" dev lan1
  for ns in "$NEAR" "$FAR"; do ip -n "$ns" link set lo up; done
  ip -n "$NEAR" link set lan0 up
  ip -n "$FAR" link set lan1 up
  # The carrier comes a moment later.
  for _ in $(seq 50); do
    if [ -n "$(ip -n "$NEAR" link show lan0 up | grep LOWER_UP)" ] && [ -n "$(ip -n "$FAR" link show lan1 up | grep LOWER_UP)" ]; then return; fi
    sleep 0.1
  done
  echo "bench: the link between the namespaces has no carrier after 5 s" >&2
  exit 2
}

near() { ip netns exec "$NEAR" "$@"; }

# far COMMAND…: starts it in the far namespace and waits until it has a socket; its process id is in $FAR_PID.
far() {
  ip netns exec "$FAR" "$@" >"$WORK/far.log" 2>&1 &
  FAR_PID=$!
  PIDS+=("$FAR_PID")
  for _ in $(seq 50); do
    sleep 0.1
    if [ -n "$(ip netns exec "$FAR" ss -Hnltu)" ]; then sleep 0.2; return; fi
  done
  echo "bench: $1 opened no port in 5 s: $(tail -1 "$WORK/far.log")" >&2
  exit 2
}

stop_far() {
  kill "$FAR_PID" 2>/dev/null || :
  wait "$FAR_PID" 2>/dev/null || :
}

# json FILE KEY: the first value of KEY inside "rtt".
json() { awk -v key="\"$2\":" '/"rtt":/ {in_rtt = 1} in_rtt && $1 == key {gsub(/[,"]/, "", $2); print $2; exit}' "$1"; }

# median: of the numbers on standard input.
median() { sort -g | awk '{v[NR] = $1} END {if (NR) print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; else print "n/a"}'; }

# interval: of the median of the numbers on standard input, at 95 %, from order statistics alone (the sign test turned round; n/a
# below six numbers, which bear none). "LOW HIGH".
interval() {
  sort -g | awk '{v[NR] = $1} END {
    # The greatest k with P(Binomial(n, 1/2) < k) <= 0.025: the interval is from the k-th to the k-th from the end.
    p = 0.5 ^ NR; sum = 0; k = 0
    while (NR && sum + p <= 0.025) {sum += p; k++; p *= (NR - k + 1) / k}
    if (k) print v[k], v[NR - k + 1]; else print "n/a n/a"}'
}

# ratios NAME FILE [BOUND…] [floor FLOOR_FILE REASON]: FILE holds "ours theirs" per round; prints medians and the median of the
# ratios, with its interval, and whether that median keeps the goal. FLOOR_FILE holds the same of what no program can be below, which
# counts where the goal is missed. A goal inside the interval is neither met nor missed for certain, and where the median does not
# keep it, that is said: such a goal is not met.
ratios() {
  local name=$1 file=$2 goal='' bound=() VERDICT=
  shift 2
  while [ $# -gt 0 ] && [ "$1" != floor ]; do bound+=("$1"); shift; done
  ratio_of() { awk 'NF == 2 && $1 > 0 && $2 > 0 {print $1 / $2}' "$1"; }
  ratio_of "$file" >"$WORK/ratios"
  local middle low high
  middle=$(median <"$WORK/ratios")
  read -r low high < <(interval <"$WORK/ratios" | awk '{print $1 + 0 == $1 ? sprintf("%.3f %.3f", $1, $2) : "n/a n/a"}')
  if [ ${#bound[@]} -gt 0 ]; then
    if [ $# -gt 0 ]; then held "$name" "$middle" "${bound[@]}" floor "$(ratio_of "$2" | median)" "$3"; else held "$name" "$middle" "${bound[@]}"; fi
    [ "$VERDICT" != missed ] || ! within "$low" "${bound[@]:0:2}" || VERDICT='not met, and the interval holds it'
    goal=" goal ${bound[*]}: $VERDICT"
  fi
  printf '%-30s ours %10s  theirs %10s  ratio %.3f  [%s..%s] of %d pairs%s\n' "$name" \
    "$(awk '{print $1}' "$file" | median)" "$(awk '{print $2}' "$file" | median)" \
    "$middle" "$low" "$high" "$(wc -l <"$WORK/ratios")" "$goal"
}
