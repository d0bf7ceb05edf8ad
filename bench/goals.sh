# Shared by the benchmarks: whether a figure keeps its goal. Sourced, not run.

# Goals that were missed, and those where what was measured is at its floor; `goals` reports.
MISSED=()
FLOORED=()
# How far above its floor a figure is still at it: what medians of some rounds differ by on a machine that others use too.
NEAR_FLOOR=1.03

# within VALUE OP BOUND: a value that is not a number (nothing was measured) meets no goal.
within() { awk -v v="$1" -v op="$2" -v x="$3" 'BEGIN {exit !(v + 0 == v && x + 0 == x && (op == "<=" ? v <= x + 0 : v >= x + 0))}'; }

# held NAME VALUE BOUND… [floor FLOOR REASON]: BOUND is `<= X` or `>= X`, more than one for a range; VERDICT becomes `met`,
# `missed`, or `at its floor FLOOR` where the goal is below what FLOOR's reason leaves.
held() {
  local name=$1 value=$2
  shift 2
  while [ $# -gt 0 ] && [ "$1" != floor ]; do
    if ! within "$value" "$1" "$2"; then
      local missed="$name: $value, the goal is $1 $2" op=$1
      while [ $# -gt 0 ] && [ "$1" != floor ]; do shift 2; done
      if [ $# -gt 0 ] && [ "$op" = '<=' ] && within "$value" '<=' "$(awk -v f="$2" -v n="$NEAR_FLOOR" 'BEGIN {print f * n}')"; then
        FLOORED+=("$missed; floor $2: $3")
        VERDICT="at its floor $2"
      else
        MISSED+=("$missed${2:+; floor $2: ${3:-}}")
        VERDICT=missed
      fi
      return
    fi
    shift 2
  done
  VERDICT=met
}

# goals: the last line of a benchmark; exit 1 where a goal was missed.
goals() {
  [ ${#FLOORED[@]} = 0 ] || printf 'at its floor: %s\n' "${FLOORED[@]}"
  [ ${#MISSED[@]} -gt 0 ] || { [ ${#FLOORED[@]} -gt 0 ] || echo "every goal was met"; return 0; }
  printf 'missed: %s\n' "${MISSED[@]}"
  exit 1
}
