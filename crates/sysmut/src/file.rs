//! Files of the kernel.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::WriteError;

/// Where a setting of the kernel may be. Nothing else is ever opened for writing.
const ROOTS: &[&str] = &["/proc/sys/", "/proc/irq/", "/sys/"];

/// Writes a value and a newline in one `write`, as `echo` does: the kernel takes a setting whole or not at all.
pub(crate) fn write(path: &str, text: &str) -> Result<(), WriteError> {
    let what = format!("write {text:?} to {path}");
    if !ROOTS.iter().any(|r| path.starts_with(r)) {
        return Err(WriteError::not_allowed(what, format!("only files under {} are written", ROOTS.join(", "))));
    }
    if path.split('/').any(|c| c == "..") || path.contains('\0') {
        return Err(WriteError::not_allowed(what, "a path with .. may lead anywhere"));
    }
    // Never created, never cut: sysfs and procfs files are there or they are not.
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK).open(path);
    let line = format!("{text}\n");
    let written = opened.and_then(|mut f| f.write(line.as_bytes()));
    match written {
        Ok(n) if n == line.len() => Ok(()),
        // proc handlers of numbers may stop before the newline (kernel/sysctl.c, proc_get_long).
        Ok(n) if n + 1 == line.len() => Ok(()),
        Ok(n) => Err(WriteError::Refused {
            what,
            errno: 0,
            text: format!("the kernel took {n} of {} bytes", line.len()),
            extack: String::new(),
        }),
        Err(e) => Err(WriteError::from_io(what, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_of_the_kernel_are_written() {
        for path in [
            "/etc/passwd",
            "/proc/1/oom_adj",
            "/dev/sda",
            "proc/sys/x",
            "/sys/../etc/passwd",
            "/proc/sys/../../etc/x",
            "",
        ] {
            assert!(matches!(write(path, "1"), Err(WriteError::NotAllowed { .. })), "{path:?} was let through");
        }
        assert!(matches!(write("/proc/sys/net/no-such-setting", "1"), Err(WriteError::Absent { .. })));
    }
}
