//! Text forms that several kinds share.

use std::collections::BTreeMap;
use std::fmt::Display;

use lowlat_model::{Reading, State};
use lowlat_sys::Sys;

use crate::shell::quote;
use crate::{Write, shell};
use lowlat_model::cpus::parse_list;

/// A value as the state that it is.
pub(crate) fn text(v: impl Display) -> State {
    State::Text(v.to_string())
}

/// A switch as a state.
pub(crate) fn switch(on: bool) -> State {
    State::Text(if on { "on" } else { "off" }.to_owned())
}

/// One of several values of a driver; `what` is it for people: `ring of eth0`.
pub(crate) fn pick<T>(map: Reading<BTreeMap<String, T>>, key: &str, what: &str) -> Reading<T> {
    map.and_then(|mut m| match m.remove(key) {
        Some(v) => Reading::Value(v),
        None => Reading::Unsupported(format!("{key}: the driver offers no such {what}")),
    })
}

/// The names of all values of a driver but one.
pub(crate) fn others<T>(all: &Reading<BTreeMap<String, T>>, but: &str) -> Vec<String> {
    all.value().into_iter().flat_map(BTreeMap::keys).filter(|name| *name != but).cloned().collect()
}

/// The text that is to be written.
pub(crate) fn plain(set: &State) -> Result<&str, String> {
    match set {
        State::Text(text) => Ok(text),
        _ => Err("the place does not take it".to_owned()),
    }
}

/// As a number.
pub(crate) fn number<N: std::str::FromStr>(set: &State) -> Result<N, String> {
    plain(set)?.trim().parse().map_err(|_| "it takes a number".to_owned())
}

/// As a switch.
pub(crate) fn on(text: &str) -> Result<bool, String> {
    match text.trim() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("it takes on or off".to_owned()),
    }
}

/// Runs of blanks are one blank (`tcp_rmem` prints tabs where blanks were written: `proc_dointvec` in kernel/sysctl.c).
pub(crate) fn same(a: &State, b: &State) -> bool {
    match (a, b) {
        (State::Text(a), State::Text(b)) => a.split_whitespace().eq(b.split_whitespace()),
        _ => false,
    }
}

/// CPU lists print ranges (`%*pbl` in lib/vsprintf.c).
pub(crate) fn same_list(a: &State, b: &State) -> bool {
    let (State::Text(a), State::Text(b)) = (a, b) else { return false };
    match (parse_list(a), parse_list(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.trim() == b.trim(),
    }
}

/// States of a file: CPU masks (`rps_cpus`, `xps_cpus`, `smp_affinity`) print zero-padded groups (`%*pb` in
/// lib/vsprintf.c).
pub(crate) fn same_in(path: &str, a: &State, b: &State) -> bool {
    match (a, b) {
        (State::Text(a), State::Text(b)) if path.ends_with("_cpus") || path.ends_with("/smp_affinity") => {
            mask(a) == mask(b)
        }
        _ if path.ends_with("_list") => same_list(a, b),
        _ => same(a, b),
    }
}

fn mask(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    digits.trim_start_matches('0').to_ascii_lowercase()
}

/// What a file of the kernel holds.
pub(crate) fn read(sys: &dyn Sys, path: &str) -> Reading<State> {
    sys.read(path).map(|t| State::Text(chosen(path, without_newline(t))))
}

/// Writes a file of the kernel.
pub(crate) fn line(path: &str, set: &State) -> Result<Write, String> {
    Ok(Write::Line { path: path.to_owned(), text: plain(set)?.to_owned() })
}

/// Writes a file of the kernel without lowlat.
pub(crate) fn undo(path: &str, was: &State) -> String {
    format!("printf '%s\\n' {} > {}", quote(&was.to_string()), quote(path))
}

/// Shows a file of the kernel without lowlat.
pub(crate) fn shown(path: &str) -> String {
    format!("cat {}", quote(path))
}

/// What no shell can put back.
pub(crate) fn reported(words: &str) -> String {
    format!("{{ echo {} >&2; false; }}", shell::quote(words))
}

/// The current value cannot be read.
pub(crate) fn not_known<T>(what: &str, reading: &Reading<T>) -> String {
    let (kind, why) = reading.why_not().unwrap_or(("garbled", ""));
    format!("{what} cannot be read before it is changed ({kind}: {why}), so it could not be restored later")
}

/// Files under `/sys` that list their words put the one that acts in brackets, `always [madvise] never`, and take that
/// word alone (Documentation/admin-guide/mm/transhuge.rst; drivers/pci/pcie/aspm.c, `pcie_aspm_get_policy`).
fn chosen(path: &str, text: String) -> String {
    let inner = |w: &str| w.strip_prefix('[').and_then(|w| w.strip_suffix(']')).map(str::to_owned);
    let mut words = text.split_whitespace().filter_map(inner);
    match (words.next(), words.next()) {
        (Some(one), None) if path.starts_with("/sys/") => one,
        _ => text,
    }
}

/// The kernel ends a value with one newline; more of them would belong to the value.
pub(crate) fn without_newline(mut t: String) -> String {
    if t.ends_with('\n') {
        t.pop();
    }
    t
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn the_word_in_brackets_is_the_state() {
        let thp = "/sys/kernel/mm/transparent_hugepage/enabled";
        assert_eq!(chosen(thp, "always [madvise] never".into()), "madvise");
        assert_eq!(chosen("/sys/module/pcie_aspm/parameters/policy", "[default] performance ".into()), "default");
        // Not every bracket is a choice.
        assert_eq!(chosen(thp, "[a] [b]".into()), "[a] [b]");
        assert_eq!(chosen("/proc/sys/kernel/core_pattern", "core [x]".into()), "core [x]");
        assert_eq!(chosen(thp, "0".into()), "0");
    }
}
