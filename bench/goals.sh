# Shared by the benchmarks: whether a figure keeps its goal. Sourced, not run.

# Goals that were missed; `goals` reports.
MISSED=()

# held NAME VALUE BOUND…: BOUND is `<= X` or `>= X`, more than one for a range; VERDICT becomes `met` or `missed`.
held() {
  local name=$1 value=$2
  shift 2
  while [ $# -gt 0 ]; do
    # A value that is not a number (nothing was measured) meets no goal.
    if ! awk -v v="$value" -v op="$1" -v x="$2" 'BEGIN {exit !(v + 0 == v && (op == "<=" ? v <= x + 0 : v >= x + 0))}'; then
      MISSED+=("$name: $value, the goal is $1 $2")
      VERDICT=missed
      return
    fi
    shift 2
  done
  VERDICT=met
}

# goals: the last line of a benchmark; exit 1 where a goal was missed.
goals() {
  [ ${#MISSED[@]} -gt 0 ] || { echo "every goal was met"; return; }
  printf 'missed: %s\n' "${MISSED[@]}"
  exit 1
}
