//! Two programs that steer one hardware clock.

use std::collections::BTreeMap;

use lowlat_model::facts::PtpProgram;
use lowlat_model::{Facts, Severity};

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// Two or more running programs of linuxptp that steer the same PTP hardware clock.
    /// ## Why it matters
    /// Each of them takes the other's corrections for an error of the clock and corrects them. Hardware stamps and the
    /// system clock that follows from them are then wrong by more than the bound that is printed with a one-way delay.
    /// ## Threshold
    /// Two of ptp4l, phc2sys and ts2phc name interfaces or devices of one clock, on the command line or in the configuration
    /// file that it names; or two phc2sys steer the system clock. A ptp4l that only serves time, takes software stamps or
    /// hands the time on (`ntpshm`) steers none. Not counted are the clocks that `phc2sys -a` finds by ptp4l's ports.
    /// ## Remedy
    /// One program for each clock: one ptp4l with several `-i` for the ports of one device, `ts2phc` only on the grandmaster.
    /// Check with `pmc -u -b 0 'GET PORT_DATA_SET'` which ports are slaves.
    pub PtpClockContended = "ptp-clock-contended";
    sources [
        "man 8 ptp4l (-i, -f, serverOnly, clock_servo), man 8 phc2sys (-a, -r, -c), man 8 ts2phc (-c), man 8 pmc",
        "Documentation/driver-api/ptp.rst in linux 6.12: PTP hardware clock infrastructure for Linux",
    ];
}

/// The clock of an interface (`ptp0`), or of a device (`/dev/ptp0`); an interface whose clock is not known is its own.
fn clock(facts: &Facts, name: &str) -> String {
    let phc = facts.interfaces.get(name).and_then(|i| i.timestamping.value()?.phc);
    match (phc, name.strip_prefix("/dev/")) {
        (Some(n), _) => format!("ptp{n}"),
        (None, Some(device)) => device.to_owned(),
        (None, None) => name.to_owned(),
    }
}

/// The clock that programs read.
const SYSTEM: &str = "system clock";

/// `, domain 24, ITU-T G.8275.1`
fn details(p: &PtpProgram) -> String {
    let domain = p.domain.map_or_else(String::new, |d| format!(", domain {d}"));
    let profile = p.profile.as_deref().map_or_else(String::new, |name| format!(", {name}"));
    domain + &profile
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let programs = &input.facts.time.ptp_programs;
    // Without the table of processes other rules say so.
    if matches!(programs, lowlat_model::Reading::Absent(_)) {
        return;
    }
    let Some(programs) = seen.need("programs that steer PTP clocks", programs) else { return };
    let mut by_clock: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for p in programs.iter().filter(|p| !p.software_stamps) {
        let mut clocks: Vec<(String, &String)> = p.steers.iter().map(|s| (clock(input.facts, s), s)).collect();
        // Several ports of one device are one clock for one program.
        clocks.dedup_by(|a, b| a.0 == b.0);
        for (clock, name) in clocks {
            by_clock.entry(clock).or_default().push(format!("{} on {name}{}", p.program, details(p)));
        }
    }
    // Other programs on the system clock are those of clock-daemons-compete.
    let on_system = programs.iter().filter(|p| p.system_clock && p.program == "phc2sys");
    by_clock.insert(SYSTEM.to_owned(), on_system.map(|p| format!("{}{}", p.program, details(p))).collect());
    for p in programs {
        if let (Some(config), Some(why)) = (&p.config, &p.config_unread) {
            seen.missing(format!("clocks that {} steers by {config}", p.program), why.clone());
        }
    }
    for (clock, programs) in by_clock.into_iter().filter(|(_, programs)| programs.len() > 1) {
        let clock = if clock == SYSTEM { clock } else { format!("clock {clock}") };
        seen.found(finding(
            NAME,
            Severity::Warning,
            format!("{} programs steer the {clock}", programs.len()),
            vec![format!("running: {}", programs.join("; "))],
            "leave one program for each clock: one ptp4l with several -i, ts2phc only on the grandmaster",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::Reading;
    use lowlat_model::facts::Timestamping;
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    fn program(name: &str, steers: &[&str], domain: Option<u8>) -> PtpProgram {
        let steers = steers.iter().map(|s| (*s).to_owned()).collect();
        PtpProgram { program: name.into(), steers, domain, ..PtpProgram::default() }
    }

    #[test]
    fn two_on_one_clock() {
        let mut facts = healthy();
        iface(&mut facts).timestamping = Reading::Value(Timestamping { phc: Some(0), ..Timestamping::default() });
        let set = |facts: &mut Facts, all: &[PtpProgram]| facts.time.ptp_programs = Reading::Value(all.to_vec());
        let ptp4l = program("ptp4l", &["eth0"], Some(24));
        set(&mut facts, &[ptp4l.clone(), program("ts2phc", &["/dev/ptp0"], None)]);
        only(NAME, &facts, &["running: ptp4l on eth0, domain 24; ts2phc on /dev/ptp0"], &[]);
        set(&mut facts, &[ptp4l.clone(), program("phc2sys", &[], Some(24))]);
        assert_eq!(rule(NAME, &facts), Seen::default(), "phc2sys steers the system clock");
        set(&mut facts, &[ptp4l, program("ptp4l", &["eth1"], None)]);
        assert_eq!(rule(NAME, &facts), Seen::default(), "two clocks");
        set(&mut facts, &[program("ptp4l", &["eth0", "eth0"], None)]);
        assert_eq!(rule(NAME, &facts), Seen::default(), "one program");
        let mut phc2sys = program("phc2sys", &[], Some(24));
        phc2sys.system_clock = true;
        set(&mut facts, &[phc2sys.clone()]);
        assert_eq!(rule(NAME, &facts), Seen::default(), "one on the system clock");
        set(&mut facts, &[phc2sys.clone(), phc2sys]);
        let found = rule(NAME, &facts).findings.remove(0);
        assert_eq!(found.title, "2 programs steer the system clock");
        let mut unread = program("ptp4l", &[], None);
        (unread.config, unread.config_unread) = (Some("/etc/p.conf".into()), Some("denied: x".into()));
        set(&mut facts, &[unread]);
        blind(NAME, &facts, "clocks that ptp4l steers by /etc/p.conf", "denied");
        facts.time.ptp_programs = Reading::Denied("x".into());
        blind(NAME, &facts, "steer PTP clocks", "denied");
    }
}
