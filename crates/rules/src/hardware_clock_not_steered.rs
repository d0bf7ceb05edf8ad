//! A clock of the device that nothing sets.

use lowlat_model::facts::{PtpProgram, Timestamping};
use lowlat_model::{Reading, Severity};

use crate::look::{aims, finding, on_path};
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A device with hardware stamps and a clock of its own that no program of linuxptp steers.
    /// ## Why it matters
    /// Its stamps are exact and mean nothing elsewhere: the clock runs free, some parts in a million fast or slow, which is
    /// microseconds after a second. Differences of its own stamps hold (a round trip); a one-way delay by it, or a comparison
    /// with the system clock, has no bound that is worth anything.
    /// ## Threshold
    /// The driver offers hardware stamps both ways and a PTP clock, and neither ptp4l, phc2sys nor ts2phc steers it, as far as
    /// their command lines and configuration files say. chrony may use such a clock without steering it (`hwtimestamp`), and
    /// then nothing is wrong. The finding is `info`, and given only where a goal was given or a path measured.
    /// ## Remedy
    /// ptp4l on that interface, with a grandmaster in the network (time.ptp4l), or `phc2sys -s CLOCK_REALTIME -c IF` to let it
    /// follow the system clock (time.phc2sys). Until then trust round trips alone: `lowlat measure` prints the bound of each
    /// one-way figure.
    pub HardwareClockNotSteered = "hardware-clock-not-steered";
    sources [
        "Documentation/networking/timestamping.rst in linux 6.12: 1.3.1 Timestamp Generation",
        "Documentation/driver-api/ptp.rst in linux 6.12: PTP hardware clock infrastructure for Linux",
        "man 8 ptp4l, man 8 phc2sys (-s, -c), man 5 chrony.conf (hwtimestamp)",
        "not confirmed: some parts in a million, which depend on the device's crystal",
    ];
    follows ["clock-not-synchronized"];
}

/// The device's clock, where it stamps both ways.
fn clock(stamps: &Timestamping) -> Option<u32> {
    let has = |what: &str| stamps.capabilities.iter().any(|c| c == what);
    stamps.phc.filter(|_| has("hardware-transmit") && has("hardware-receive"))
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    if !aims(input) {
        return;
    }
    let facts = input.facts;
    let of = |name: &str| facts.interfaces.get(name).and_then(|i| clock(i.timestamping.value()?));
    let devices: Vec<(&str, u32)> = on_path(facts).iter().filter_map(|(name, _)| Some((*name, of(name)?))).collect();
    // Without the table of processes other rules say so.
    if devices.is_empty() || matches!(facts.time.ptp_programs, Reading::Absent(_)) {
        return;
    }
    let Some(programs) = seen.need("programs that steer PTP clocks", &facts.time.ptp_programs) else { return };
    // What a file says that was not read, or what ptp4l's ports are, may be this clock.
    if programs.iter().any(|p| p.automatic || p.config_unread.is_some()) {
        return;
    }
    let steers = |p: &PtpProgram, phc: u32| {
        let is = |s: &String| of(s) == Some(phc) || *s == format!("/dev/ptp{phc}");
        !p.software_stamps && p.steers.iter().any(is)
    };
    for (name, phc) in devices {
        if programs.iter().any(|p| steers(p, phc)) {
            continue;
        }
        let running: Vec<&str> = programs.iter().map(|p| p.program.as_str()).collect();
        let running = if running.is_empty() { "none".to_owned() } else { running.join(", ") };
        seen.found(finding(
            NAME,
            Severity::Info,
            format!("the hardware clock of {name} runs free, so its stamps bound no one-way delay"),
            vec![format!("{name} stamps both ways by ptp{phc}"), format!("programs of linuxptp: {running}")],
            "run ptp4l on it, or phc2sys to let it follow the system clock; trust round trips until then",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{rule, rule_for};

    #[test]
    fn a_clock_with_and_without_a_program() {
        let mut facts = healthy();
        let capabilities = ["hardware-transmit", "hardware-receive"].map(str::to_owned).to_vec();
        iface(&mut facts).timestamping =
            Reading::Value(Timestamping { capabilities, phc: Some(0), ..Timestamping::default() });
        assert_eq!(rule(NAME, &facts), Seen::default(), "nobody asked for latency");
        let found = rule_for(NAME, &facts, 50_000).findings.remove(0);
        assert_eq!(found.evidence, ["eth0 stamps both ways by ptp0", "programs of linuxptp: none"]);
        let mut asked = |p: PtpProgram| {
            facts.time.ptp_programs = Reading::Value(vec![p]);
            rule_for(NAME, &facts, 50_000).findings.len()
        };
        let program = |name: &str, steers: &[&str]| PtpProgram {
            program: name.into(),
            steers: steers.iter().map(|s| (*s).to_owned()).collect(),
            ..PtpProgram::default()
        };
        assert_eq!(asked(program("ptp4l", &["eth0"])), 0);
        assert_eq!(asked(program("ts2phc", &["/dev/ptp0"])), 0);
        assert_eq!(asked(program("phc2sys", &[])), 1, "it steers the system clock");
        assert_eq!(asked(PtpProgram { software_stamps: true, ..program("ptp4l", &["eth0"]) }), 1);
        assert_eq!(asked(PtpProgram { automatic: true, ..program("phc2sys", &[]) }), 0, "perhaps by it");
        assert_eq!(asked(PtpProgram { config_unread: Some("denied".into()), ..program("ptp4l", &[]) }), 0);
        facts.time.ptp_programs = Reading::Denied("x".into());
        let seen = rule_for(NAME, &facts, 50_000);
        assert_eq!((seen.findings.len(), seen.not_seen[0].why.as_str()), (0, "denied: x"));
        iface(&mut facts).timestamping = Reading::Value(Timestamping { phc: Some(0), ..Timestamping::default() });
        assert_eq!(rule_for(NAME, &facts, 50_000), Seen::default(), "a clock without stamps");
    }
}
