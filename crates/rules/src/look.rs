//! What most rules do in the same way: asking for a fact and saying so when there is none, and naming what they found.

use core::net::{IpAddr, SocketAddr};
use std::fmt::Display;

use lowlat_model::application::{Grown, OpenSocket, Process, Thread};
pub(crate) use lowlat_model::cpus::print_list as cpus;
use lowlat_model::facts::{Interface, Route};
use lowlat_model::finding::Setting;
use lowlat_model::op::Target;
use lowlat_model::{Facts, Finding, NotSeen, PathLink, PathRole, Reading, Remedy, Severity, Window};

use crate::{Input, Seen};

impl Seen {
    /// The value, or a note that there is none and why.
    pub(crate) fn need<'a, T>(&mut self, fact: impl Display, reading: &'a Reading<T>) -> Option<&'a T> {
        if let Some((kind, why)) = reading.why_not() {
            self.missing(fact, format!("{kind}: {why}"));
        }
        reading.value()
    }

    /// The same for a fact of one interface, which begins with its name. Where no interface is in focus, what its
    /// driver does not offer is not worth a line, and neither is it where a device beneath it on the path answers; what
    /// could not be read is.
    pub(crate) fn need_of<'a, T>(
        &mut self,
        facts: &Facts,
        fact: impl Display,
        reading: &'a Reading<T>,
    ) -> Option<&'a T> {
        let fact = fact.to_string();
        let of = |iface: &str| fact.strip_prefix(iface).is_some_and(|rest| rest.starts_with([' ', '/']));
        let stands_on = facts.path.iter().any(|l| l.role != PathRole::Redirect && l.above.as_deref().is_some_and(of));
        if (facts.iface.is_none() || stands_on) && matches!(reading, Reading::Absent(_) | Reading::Unsupported(_)) {
            return None;
        }
        self.need(fact, reading)
    }

    /// Notes what could not be seen.
    pub(crate) fn missing(&mut self, fact: impl Display, why: impl Into<String>) {
        self.not_seen.push(NotSeen { fact: fact.to_string(), why: why.into() });
    }

    /// The counter window, or a note that none was taken: totals since boot do not report when something happened.
    pub(crate) fn window<'a>(&mut self, input: &Input<'a>) -> Option<&'a Window> {
        if input.facts.window.is_none() {
            self.missing("counter growth", "absent: no counter window was taken");
        }
        input.facts.window.as_ref()
    }

    /// How much a counter grew, or a note that it cannot be determined.
    pub(crate) fn growth(&mut self, window: &Window, group: &str, key: &str) -> Option<u64> {
        let grown = window.delta(group, key);
        if grown.is_none() {
            self.no_growth(window, group, key);
        }
        grown
    }

    /// Growth of a counter in every group under `prefix`, those that grew; a note where a group cannot be read.
    pub(crate) fn growth_under(&mut self, window: &Window, prefix: &str, key: &str) -> Vec<(String, u64)> {
        let groups: Vec<&str> = window.after.groups_under(prefix).collect();
        if groups.is_empty() {
            self.missing(format!("counters {prefix}*"), "absent: they were not read");
        }
        let mut grown = Vec::new();
        for group in groups {
            match window.delta(group, key) {
                Some(0) => {}
                Some(by) => grown.push((group.to_owned(), by)),
                None => self.no_growth(window, group, key),
            }
        }
        grown
    }

    /// A line for each of these counters of one group that grew.
    pub(crate) fn grown(&mut self, window: &Window, group: &str, keys: &[&str], source: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for key in keys {
            if let Some(by) = self.growth(window, group, key).filter(|by| *by > 0) {
                lines.push(format!("{key} grew by {by} {} ({source})", within(window)));
            }
        }
        lines
    }

    /// The counters of an interface's driver that grew, by their own names; a note where they may not be read.
    pub(crate) fn driver_grown(&mut self, window: &Window, iface: &str) -> Vec<(String, u64)> {
        self.all_grown(window, &format!("ethtool/{iface}"))
    }

    /// The counters of one group that grew; a note where they may not be read.
    pub(crate) fn all_grown(&mut self, window: &Window, group: &str) -> Vec<(String, u64)> {
        if !self.counted(window, group) {
            return Vec::new();
        }
        let keys = window.after.groups.get(group).and_then(|g| g.value()).into_iter().flat_map(|g| g.keys());
        keys.filter_map(|key| Some((key.clone(), window.delta(group, key).filter(|by| *by > 0)?))).collect()
    }

    /// What all queues of a device count by one of the kernel's names, where it grew.
    pub(crate) fn queues_grown(&mut self, window: &Window, iface: &str, key: &str) -> Option<u64> {
        let of = |(name, by): (String, u64)| name.split_once('.').is_some_and(|(_, k)| k == key).then_some(by);
        let sum: u64 = self.all_grown(window, &format!("queues/{iface}")).into_iter().filter_map(of).sum();
        (sum > 0).then_some(sum)
    }

    /// Whether a group can be asked: where the host has no such thing that is not a fact missed, where it may not be read
    /// it is.
    pub(crate) fn counted(&mut self, window: &Window, group: &str) -> bool {
        match window.after.groups.get(group) {
            Some(Reading::Value(_)) => true,
            None | Some(Reading::Absent(_) | Reading::Unsupported(_)) => false,
            Some(other) => {
                if let Some((kind, why)) = other.why_not() {
                    self.missing(format!("counters {group}"), format!("{kind}: {why}"));
                }
                false
            }
        }
    }

    /// A list of CPUs that are kept quiet. A kernel without the option has no such file, and keeps none quiet.
    pub(crate) fn quiet(&mut self, fact: &str, reading: &Reading<Vec<u32>>) -> Vec<u32> {
        match reading {
            Reading::Absent(_) => Vec::new(),
            other => self.need(fact, other).cloned().unwrap_or_default(),
        }
    }

    fn no_growth(&mut self, window: &Window, group: &str, key: &str) {
        let why = [&window.after, &window.before].into_iter().find_map(|c| match c.groups.get(group) {
            None => Some("absent: it was not read".to_owned()),
            Some(reading) => match reading.why_not() {
                Some((kind, why)) => Some(format!("{kind}: {why}")),
                None if c.get(group, key).is_none() => Some(format!("unsupported: this kernel does not count {key}")),
                None => None,
            },
        });
        let why = why.unwrap_or_else(|| "garbled: the counter went backwards within the window".to_owned());
        self.missing(format!("counter {group} {key}"), why);
    }

    /// Adds a finding.
    pub(crate) fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }
}

/// A finding without settings.
pub(crate) fn finding(rule: &str, severity: Severity, title: String, evidence: Vec<String>, advice: &str) -> Finding {
    let remedy = Remedy { advice: advice.to_owned(), settings: Vec::new() };
    Finding { rule: rule.to_owned(), severity, title, evidence, remedy, follows: None }
}

/// The weight of what a host does on purpose, to save power or processor time: a fault where latency is wanted, because
/// a goal was given or a path measured; else only worth knowing.
pub(crate) fn chosen(input: &Input<'_>) -> Severity {
    if aims(input) { Severity::Warning } else { Severity::Info }
}

/// Whether latency is wanted here: a goal was given or a path measured. What every ordinary host has is said only then.
pub(crate) fn aims(input: &Input<'_>) -> bool {
    input.goal_ns.is_some() || input.baseline.is_some()
}

/// The CPUs on which a line fired within the window.
pub(crate) fn fired_on(window: &Window, irq: u32) -> Vec<u32> {
    let group = format!("irq/{irq}");
    let counts = window.after.groups.get(&group).and_then(|g| g.value()).into_iter().flatten();
    let fired = |cpu: &String| window.delta(&group, cpu).is_some_and(|by| by > 0);
    let mut on: Vec<u32> =
        counts.filter(|(cpu, _)| fired(cpu)).filter_map(|(cpu, _)| cpu.strip_prefix("cpu")?.parse().ok()).collect();
    on.sort_unstable();
    on
}

/// The same with settings.
pub(crate) fn with(mut finding: Finding, settings: impl IntoIterator<Item = Setting>) -> Finding {
    finding.remedy.settings.extend(settings);
    finding
}

/// A knob, where, and the value to try.
pub(crate) fn set(knob: &str, target: Target, value: impl Display) -> Setting {
    Setting { knob: knob.to_owned(), target, value: value.to_string(), joint: None }
}

/// Settings that act only together, as one step of this name.
pub(crate) fn joint(name: &str, mut settings: Vec<Setting>) -> Vec<Setting> {
    for setting in &mut settings {
        setting.joint = Some(name.to_owned());
    }
    settings
}

/// The interfaces that the path uses: from the one in focus down to the devices; without a focus all that are up and
/// lead out of the host.
pub(crate) fn on_path(facts: &Facts) -> Vec<(&str, &Interface)> {
    if facts.iface.is_some() && facts.path.is_empty() {
        return facts.focus().into_iter().collect();
    }
    if facts.iface.is_some() {
        let known = |l: &PathLink| facts.interfaces.get_key_value(&l.name).map(|(name, i)| (name.as_str(), i));
        return facts.path.iter().filter_map(known).collect();
    }
    facts.interfaces.iter().filter(|(name, i)| i.up && name.as_str() != "lo").map(|(n, i)| (n.as_str(), i)).collect()
}

/// The route of the main table that leads to an address: the longest prefix that holds it. `None` where it is not
/// known, or where several lead there equally.
pub(crate) fn route_to(facts: &Facts, to: IpAddr) -> Option<&Route> {
    let fits = |r: &&Route| prefix(&r.prefix).is_some_and(|p| holds(p, to));
    let length = |r: &&Route| prefix(&r.prefix).map_or(0, |(_, n)| n);
    let mut all: Vec<&Route> = facts.routes.value()?.iter().filter(fits).collect();
    all.sort_by_key(|r| std::cmp::Reverse(length(r)));
    let (first, second) = (all.first().copied()?, all.get(1));
    second.is_none_or(|s| length(s) < length(&first)).then_some(first)
}

fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    Some((address.parse().ok()?, length.parse().ok()?))
}

fn holds((net, length): (IpAddr, u8), to: IpAddr) -> bool {
    let (net, to, bits) = match (net, to) {
        (IpAddr::V4(n), IpAddr::V4(t)) => (u128::from(n.to_bits()), u128::from(t.to_bits()), 32),
        (IpAddr::V6(n), IpAddr::V6(t)) => (n.to_bits(), t.to_bits(), 128),
        _ => return false,
    };
    u32::from(length) <= bits && (net ^ to).checked_shr(bits - u32::from(length)).unwrap_or(0) == 0
}

/// The address of `192.0.2.1:7` or `[2001:db8::1]:7`.
pub(crate) fn address_of(endpoint: &str) -> Option<IpAddr> {
    endpoint.parse::<SocketAddr>().map(|s| s.ip()).or_else(|_| endpoint.parse()).ok()
}

/// `in 1000 ms`
pub(crate) fn within(window: &Window) -> String {
    format!("in {} ms", window.duration_ns() / 1_000_000)
}

/// `feed[812] thread 813 (rx)`; a thread that is its process's first is only named by that.
pub(crate) fn thread(process: &Process, thread: &Thread) -> String {
    let of = format!("{}[{}]", process.command, process.pid);
    if thread.tid == process.pid { of } else { format!("{of} thread {} ({})", thread.tid, thread.name) }
}

/// `feed[812] fd 7: tcp 192.0.2.1:5000 to 192.0.2.2:40000`; without an owner only the socket.
pub(crate) fn socket(socket: &OpenSocket) -> String {
    let owner = socket.owners.first().map(|o| format!("{}[{}] fd {}: ", o.command, o.pid, o.fd)).unwrap_or_default();
    let remote = match socket.state.as_str() {
        "listen" => " (listening)".to_owned(),
        _ if socket.remote.ends_with(":0") => String::new(),
        _ => format!(" to {}", socket.remote),
    };
    format!("{owner}{} {}{remote}", socket.protocol, socket.local)
}

/// A thread, its process and what it did in the window.
pub(crate) type Watched<'a> = (&'a Process, &'a Thread, &'a Grown);

/// The length of the window in seconds and the application's threads; a note where there was none.
pub(crate) fn watched<'a>(seen: &mut Seen, input: &Input<'a>) -> Option<(f64, Vec<Watched<'a>>)> {
    let application = input.facts.application.as_ref()?;
    let Some(window_ns) = application.window_ns.filter(|ns| *ns > 0) else {
        seen.missing("what the application's threads do", "absent: they were read once, without a window");
        return None;
    };
    let all = application.processes.iter().flat_map(|p| p.threads.iter().map(move |t| (p, t)));
    let grown = all.filter_map(|(p, t)| Some((p, t, t.grown.as_ref()?))).collect();
    // A window is far below 2^53 ns.
    #[allow(clippy::cast_precision_loss)] // a window is far below 2^53 ns
    let seconds = window_ns as f64 / 1e9;
    Some((seconds, grown))
}

/// The first few lines of evidence, and how many more there are.
pub(crate) fn few(mut lines: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 5;
    if lines.len() > SHOWN {
        let more = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// So many in a window of so many seconds, as a rate.
#[allow(clippy::cast_precision_loss)] // counts of one window
pub(crate) fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// A sysctl as a number, or a note that it is none.
pub(crate) fn number(seen: &mut Seen, facts: &Facts, key: &str) -> Option<u64> {
    let Some(reading) = facts.sysctls.get(key) else {
        seen.missing(format!("sysctl {key}"), "absent: it was not read");
        return None;
    };
    let text = seen.need(format!("sysctl {key}"), reading)?;
    let number = text.trim().parse().ok();
    if number.is_none() {
        seen.missing(format!("sysctl {key}"), format!("garbled: {text:?} is not a number"));
    }
    number
}

#[cfg(test)]
pub(crate) mod test {
    //! How rule tests ask.

    use super::{Facts, Input, Seen};
    use crate::{check_all, find};

    /// One rule on these facts.
    pub(crate) fn rule(name: &str, facts: &Facts) -> Seen {
        find(name).unwrap().check(&Input { facts, baseline: None, goal_ns: None })
    }

    /// The same with a goal.
    pub(crate) fn rule_for(name: &str, facts: &Facts, goal_ns: u64) -> Seen {
        find(name).unwrap().check(&Input { facts, baseline: None, goal_ns: Some(goal_ns) })
    }

    /// The rule fires once with this evidence, and no other rule fires on these facts but those in `also`.
    pub(crate) fn only(name: &str, facts: &Facts, evidence: &[&str], also: &[&str]) {
        let all = check_all(&Input { facts, baseline: None, goal_ns: None });
        let mut fired: Vec<&str> = all.findings.iter().map(|f| f.rule.as_str()).filter(|r| !also.contains(r)).collect();
        fired.dedup();
        assert_eq!(fired, [name]);
        let finding = all.findings.iter().find(|f| f.rule == name).unwrap();
        assert_eq!(finding.evidence, evidence);
    }

    /// The rule finds nothing and says that it missed a fact whose name holds `fact`, for a reason of this kind.
    pub(crate) fn blind(name: &str, facts: &Facts, fact: &str, kind: &str) {
        let seen = rule(name, facts);
        assert_eq!(seen.findings, [], "found something without its fact");
        assert!(
            seen.not_seen.iter().any(|n| n.fact.contains(fact) && n.why.starts_with(&format!("{kind}: "))),
            "{:?}",
            seen.not_seen
        );
    }

    #[test]
    fn the_longest_prefix_leads_there() {
        let facts = lowlat_testkit::facts::healthy();
        let to = |text: &str| super::route_to(&facts, text.parse().unwrap()).map(|r| r.prefix.as_str());
        assert_eq!(to("192.0.2.77"), Some("192.0.2.0/24"));
        assert_eq!(to("203.0.113.1"), Some("0.0.0.0/0"));
        assert_eq!(to("2001:db8::1"), None);
        assert_eq!(super::address_of("[2001:db8::1]:7").map(|a| a.to_string()).as_deref(), Some("2001:db8::1"));
        assert_eq!(super::address_of("192.0.2.1:7").map(|a| a.to_string()).as_deref(), Some("192.0.2.1"));
        assert_eq!(super::address_of("a host"), None);
    }
}
