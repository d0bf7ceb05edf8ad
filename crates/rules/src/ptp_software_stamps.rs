//! PTP by software stamps where the device has better ones.

use lowlat_model::{Reading, Severity};

use crate::look::finding;
use crate::{Input, Seen};

crate::rule! {
    /// ## What it finds
    /// A ptp4l that was started with software stamps on an interface that has hardware stamps and a clock.
    /// ## Why it matters
    /// Software stamps are taken where the driver hands a packet over, so they hold what the host and the device add:
    /// interrupt delay, queues, other work. The clock then wanders with the load; with hardware stamps it does not.
    /// One-way delays inherit that error.
    /// ## Threshold
    /// A ptp4l with software stamps (`-S`, or `time_stamping software` on the command line or in its configuration file) names
    /// an interface whose driver offers a PTP clock, and hardware stamps both ways.
    /// ## Remedy
    /// Start ptp4l with -H (its default), and phc2sys for the system clock (time.ptp4l, time.phc2sys). What a driver offers
    /// does not always arrive: `lowlat measure --stamps` shows which stamps come.
    pub PtpSoftwareStamps = "ptp-software-stamps";
    sources [
        "man 8 ptp4l (-H, -S)",
        "Documentation/networking/timestamping.rst in linux 6.12: 1.3.1 Timestamp Generation",
    ];
}

fn look(input: &Input<'_>, seen: &mut Seen) {
    let programs = &input.facts.time.ptp_programs;
    // Without the table of processes other rules say so.
    if matches!(programs, Reading::Absent(_)) {
        return;
    }
    let Some(programs) = seen.need("programs that steer PTP clocks", programs) else { return };
    for name in programs.iter().filter(|p| p.software_stamps).flat_map(|p| &p.steers) {
        let Some(nic) = input.facts.interfaces.get(name) else { continue };
        let Some(stamps) = nic.timestamping.value() else { continue };
        let has = |what: &str| stamps.capabilities.iter().any(|c| c == what);
        let Some(phc) = stamps.phc.filter(|_| has("hardware-transmit") && has("hardware-receive")) else { continue };
        seen.found(finding(
            NAME,
            Severity::Info,
            format!("ptp4l uses software stamps on {name}, which has hardware stamps"),
            vec![
                format!("running: ptp4l with software stamps on {name}"),
                format!("{name} offers hardware stamps both ways, clock ptp{phc}"),
            ],
            "start ptp4l with -H, and phc2sys for the system clock",
        ));
    }
}

#[cfg(test)]
mod tests {
    use lowlat_model::facts::{PtpProgram, Timestamping};
    use lowlat_testkit::facts::{healthy, iface};

    use super::*;
    use crate::look::test::{blind, only, rule};

    #[test]
    fn software_stamps_next_to_hardware_ones() {
        let mut facts = healthy();
        let capabilities = ["hardware-transmit", "hardware-receive"].map(str::to_owned).to_vec();
        iface(&mut facts).timestamping =
            Reading::Value(Timestamping { capabilities, phc: Some(3), ..Timestamping::default() });
        let program = PtpProgram {
            program: "ptp4l".into(),
            steers: vec!["eth0".into()],
            software_stamps: true,
            ..PtpProgram::default()
        };
        facts.time.ptp_programs = Reading::Value(vec![program.clone()]);
        let lines =
            ["running: ptp4l with software stamps on eth0", "eth0 offers hardware stamps both ways, clock ptp3"];
        only(NAME, &facts, &lines, &[]);
        iface(&mut facts).timestamping = Reading::Value(Timestamping::default());
        assert_eq!(rule(NAME, &facts), Seen::default(), "it has no others");
        facts.time.ptp_programs = Reading::Denied("x".into());
        blind(NAME, &facts, "steer PTP clocks", "denied");
    }
}
