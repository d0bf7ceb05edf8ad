//! Boot parameters: a drop-in of the boot loader, which acts after a reboot.

use lowlat_model::op::Target;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::Sys;

use crate::Place;
use lowlat_model::cpus::parse_list;

/// A parameter by its name.
#[derive(Debug)]
pub struct Parameter(pub &'static str);

impl Place for Parameter {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        Ok(if *target == Target::Host { vec![Locus::DropIn { path: file(self.0) }] } else { Vec::new() })
    }
    fn targets(&self, _: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        Reading::Value(vec![Target::Host])
    }
    fn in_force(&self, sys: &dyn Sys) -> Option<Reading<String>> {
        // The last one on the line is the one that acts for most parameters, so it is the one shown.
        let key = format!("{}=", self.0);
        let last = |line: String| {
            line.split_whitespace().rev().find_map(|w| w.strip_prefix(&key)).unwrap_or("none").to_owned()
        };
        Some(sys.read("/proc/cmdline").map(last))
    }
    fn undo(&self, _: &[Op], _: &[State]) -> String {
        format!("rm -f {} && update-grub", file(self.0))
    }
}

/// Where a parameter's drop-in is.
fn file(parameter: &str) -> String {
    format!("/etc/default/grub.d/90-lowlat-{parameter}.cfg")
}

/// The drop-in's text; as text, why the parameter takes no such value.
///
/// `/etc/default/grub.d/*.cfg` is sourced after `/etc/default/grub` on Debian and Ubuntu (grub-mkconfig).
pub fn encode(parameter: &str, value: &str) -> Result<State, String> {
    check(parameter, value)?;
    Ok(State::Text(format!(
        "# Written by lowlat. Remove this file and run update-grub to undo.\n\
         GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {parameter}={value}\"\n"
    )))
}

/// `NAME=VALUE` of a drop-in's text.
pub fn in_drop_in(text: &str) -> Option<&str> {
    text.lines()
        .find_map(|l| l.strip_prefix("GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT ")?.strip_suffix('"'))
}

fn check(parameter: &str, value: &str) -> Result<(), String> {
    let words: &[&str] = match parameter {
        "idle" => &["poll", "halt", "nomwait"],
        "skew_tick" => &["0", "1"],
        // Both bound the depth; more than 9 the documentation does not know (admin-guide/kernel-parameters.txt).
        "intel_idle.max_cstate" | "processor.max_cstate" => &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        _ => &[],
    };
    if !words.is_empty() {
        return if words.contains(&value) { Ok(()) } else { Err(format!("it takes {}", words.join(", "))) };
    }
    // isolcpus takes flags before the list (admin-guide/kernel-parameters.txt: nohz, domain, managed_irq).
    let list =
        value.split(',').skip_while(|w| parameter == "isolcpus" && matches!(*w, "nohz" | "domain" | "managed_irq"));
    let cpus = parse_list(&list.collect::<Vec<_>>().join(","))?;
    if cpus.contains(&0) { Err("cpu 0 must keep the housekeeping".to_owned()) } else { Ok(()) }
}
