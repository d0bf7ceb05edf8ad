//! Boot parameters as drop-ins of the boot loader.

use crate::cpulist::parse_list;

/// Where a parameter's drop-in is.
pub(crate) fn boot_file(parameter: &str) -> String {
    format!("/etc/default/grub.d/90-lowlat-{parameter}.cfg")
}

/// `/etc/default/grub.d/*.cfg` is sourced after `/etc/default/grub` on Debian and Ubuntu (grub-mkconfig).
pub(crate) fn boot_text(parameter: &str, value: &str) -> String {
    format!(
        "# Written by lowlat. Remove this file and run update-grub to undo.\n\
         GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {parameter}={value}\"\n"
    )
}

/// Whether a parameter takes a value.
pub(crate) fn check_boot(parameter: &str, value: &str) -> Result<(), String> {
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
