//! The script: every write a function that sets, one that puts back and, where a tool shows the setting, one that shows it.

use std::fmt::Write as _;

use lowlat_model::{Locus, Plan, State};
use lowlat_settings::{at, shell, undo, undo_together, undone_at_once};

use super::{Export, Item, items};

pub(super) fn export(plan: &Plan) -> Export {
    let (items, left_out) = items(plan);
    Export { text: script(&items, &left_out), left_out, steps: items.len() }
}

fn script(items: &[Item<'_>], left_out: &[String]) -> String {
    let mut steps = String::new();
    let mut n = 0;
    for run in items.chunk_by(|a, b| undone_at_once(&a.op.locus, &b.op.locus)) {
        for (k, item) in run.iter().enumerate() {
            n += 1;
            step(&mut steps, n, item, &Run { items: run, first: k == 0, last: k + 1 == run.len() });
        }
    }
    let tools = TOOLS.iter().filter(|t| steps.lines().any(|l| l.split_whitespace().any(|w| w.ends_with(*t))));
    let tools: Vec<&str> = tools.copied().collect();
    // SC2317: a function is called by its number.
    let mut out = format!("#!/bin/sh\n{},SC2317\n{HEAD}", crate::script::LINT);
    for line in left_out {
        let _ = writeln!(out, "# Not in it: {}", shell::comment(line));
    }
    // The same plan has the same record, another plan another one.
    let id = crc32fast::hash(steps.as_bytes());
    let _ = write!(
        out,
        "set -u\numask 077\nLC_ALL=C; export LC_ALL\ncount={}\n\
         record=${{LOWLAT_RECORD:-/run/lowlat-plan-{id:08x}}}\nfailed=0\ntools='{}'\n{steps}{TAIL}",
        items.len(),
        tools.join(" ")
    );
    out
}

const TOOLS: &[&str] = &["ethtool", "tc", "ip", "hwstamp_ctl"];

/// Writes that the kernel takes in one request, for drivers that check them against each other: these go at once first, and
/// then one by one what a driver takes only alone.
struct Run<'a> {
    items: &'a [Item<'a>],
    first: bool,
    last: bool,
}

impl Run<'_> {
    fn at_once<'s>(&'s self, state: impl Fn(&'s Item<'s>) -> &'s State) -> String {
        let places: Vec<_> = self.items.iter().map(|item| (&item.op.locus, state(item))).collect();
        undo_together(&places).map_or_else(String::new, |command| format!("{command} 2>/dev/null || :\n"))
    }
}

fn step(out: &mut String, n: usize, item: &Item<'_>, run: &Run<'_>) {
    let locus = &item.op.locus;
    let _ = writeln!(out, "\n# {}", shell::comment(&item.title));
    let _ = writeln!(out, "name_{n}() {{ printf '%s\\n' {}; }}", shell::quote(&shell::comment(&item.title)));
    let set = if run.first { run.at_once(|i| &i.op.set) } else { String::new() };
    let _ = writeln!(out, "set_{n}() {{\n{set}{}\n}}", undo(locus, &item.op.set));
    let back = if run.last { run.at_once(|i| i.prior) } else { String::new() };
    let _ = writeln!(out, "undo_{n}() {{\n{back}{}\n}}", undo(locus, item.prior));
    let show = at(locus).shown().unwrap_or_else(|| ":".to_owned());
    let _ = writeln!(out, "show_{n}() {{\n{show}\n}}");
    // A file's text is known in the plan; what a tool shows is not.
    let planned = match (locus, item.prior) {
        (Locus::File { path }, State::Text(was)) => {
            let was: Vec<&str> = was.split_whitespace().collect();
            format!("holds {} {}", shell::quote(path), shell::quote(&was.join(" ")))
        }
        _ => ":".to_owned(),
    };
    let _ = writeln!(out, "planned_{n}() {{ {planned}; }}");
}

const HEAD: &str = "# Sets what a plan of lowlat sets, on the host that it was made for, without lowlat. As root:
#   sh FILE [apply]        sets all; where one write fails, all goes back
#   sh FILE check          changes nothing; exit 1 unless all is as this script set it
#   sh FILE undo [--force] puts back what it replaced, the last write first; what something else has changed since is
#                          left alone unless forced, with exit 1
# The settings end with the boot, and so does the record of what is applied, a directory in /run.
";

const TAIL: &str = r#"
say() { printf '%s\n' "lowlat-plan: $*" >&2; }
# Whether the file $1 has the value $2, or offers several with $2 chosen.
holds() {
  v=$(tr -s '[:space:]' ' ' <"$1") || return 1
  v=${v% }
  case $v in "$2" | *"[$2]"*) return 0 ;; esac
  return 1
}
ready() {
  for tool in $tools; do
    command -v "$tool" >/dev/null || { say "$tool is missing; install it"; exit 2; }
  done
}
# Whether setting $1 is as it was noted under $2; what nothing shows is taken to be.
still() {
  [ -f "$record/$1.$2" ] || return 0
  [ "$("show_$1" 2>/dev/null)" = "$(cat "$record/$1.$2")" ]
}
apply() {
  ready
  if [ -d "$record" ]; then say "it is applied already; undo it first"; exit 1; fi
  n=1
  while [ "$n" -le "$count" ]; do
    if ! "planned_$n"; then
      say "$("name_$n"): this host is not as it was when the plan was made; nothing is changed"
      exit 1
    fi
    n=$((n + 1))
  done
  mkdir "$record" || exit 2
  # All before the first write: what one tool shows holds several settings.
  n=1
  while [ "$n" -le "$count" ]; do
    "show_$n" >"$record/$n.was" 2>/dev/null || rm -f "$record/$n.was"
    n=$((n + 1))
  done
  n=1
  while [ "$n" -le "$count" ]; do
    : >"$record/$n.begun" || exit 2
    if ! "set_$n"; then
      say "$("name_$n"): refused; all goes back"
      undo
      exit 1
    fi
    n=$((n + 1))
  done
  n=1
  while [ "$n" -le "$count" ]; do
    "show_$n" >"$record/$n.ours" 2>/dev/null || rm -f "$record/$n.ours"
    n=$((n + 1))
  done
}
check() {
  ready
  n=1
  while [ "$n" -le "$count" ]; do
    if ! [ -f "$record/$n.begun" ]; then
      say "$("name_$n"): not set by this script"
      failed=1
    elif ! still "$n" ours; then
      say "$("name_$n"): changed since"
      failed=1
    fi
    n=$((n + 1))
  done
}
undo() {
  ready
  if ! [ -d "$record" ]; then say "nothing of this plan is applied"; return; fi
  n=1
  while [ "$n" -le "$count" ]; do
    rm -f "$record/$n.left"
    if [ "${1-}" != --force ] && ! still "$n" ours; then : >"$record/$n.left"; fi
    n=$((n + 1))
  done
  n=$count
  while [ "$n" -ge 1 ]; do
    if [ -f "$record/$n.left" ]; then
      say "$("name_$n"): something else has changed it since; left alone; undo --force restores it anyway"
      failed=1
    elif [ -f "$record/$n.begun" ]; then
      if "undo_$n"; then
        rm -f "$record/$n.begun" "$record/$n.ours"
      else
        say "$("name_$n"): not put back"
        failed=1
      fi
    fi
    n=$((n - 1))
  done
  n=1
  while [ "$n" -le "$count" ]; do
    if [ -f "$record/$n.begun" ]; then
      n=$((n + 1))
      continue
    fi
    if ! still "$n" was; then say "$("name_$n"): put back, but not shown as before"; failed=1; fi
    rm -f "$record/$n.was"
    n=$((n + 1))
  done
  rmdir "$record" 2>/dev/null || failed=1
}
case ${1-apply} in
apply) apply ;;
check) check ;;
undo) undo "${2-}" ;;
*) say "choose apply, check or undo"; exit 2 ;;
esac
exit "$failed"
"#;
