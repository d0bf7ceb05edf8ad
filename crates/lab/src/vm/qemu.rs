//! Which QEMU to run, and how.

use std::path::PathBuf;
use std::process::Command;

use super::error::VmError;
use super::tools::Tools;

/// A QEMU that answered `--version`.
#[derive(Debug, Clone)]
pub(crate) struct Qemu {
    origin: Origin,
    /// Major version.
    pub(crate) major: u32,
}

#[derive(Debug, Clone)]
enum Origin {
    Named(PathBuf),
    Tools(Tools),
}

impl Qemu {
    /// `LOWLAT_QEMU` when set, else the one of the tool tree.
    pub(crate) fn find(tools: &Tools) -> Result<Self, VmError> {
        let origin = match std::env::var_os("LOWLAT_QEMU").filter(|v| !v.is_empty()) {
            Some(path) => Origin::Named(path.into()),
            None => Origin::Tools(tools.clone()),
        };
        Self::probe(origin)
    }

    fn probe(origin: Origin) -> Result<Self, VmError> {
        let mut qemu = Self { origin, major: 0 };
        let fail = |detail: String| VmError::Qemu { detail };
        let mut command = qemu.command();
        let name = command.get_program().to_string_lossy().into_owned();
        let output = command.arg("--version").output().map_err(|e| fail(format!("run {name}: {e}")))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        qemu.major = major(&text).ok_or_else(|| fail(format!("{name} --version printed {:?}", first_line(&text))))?;
        Ok(qemu)
    }

    /// The command without machine arguments.
    pub(crate) fn command(&self) -> Command {
        match &self.origin {
            Origin::Named(path) => Command::new(path),
            Origin::Tools(tools) => {
                let mut command = tools.command("usr/bin/qemu-system-x86_64", "qemu-system-x86_64");
                // QEMU finds its data next to its own program file, which here is the loader: both must be reported.
                command.env("QEMU_MODULE_DIR", tools.path("usr/lib/x86_64-linux-gnu/qemu"));
                for dir in ["usr/share/qemu", "usr/share/seabios"] {
                    command.arg("-L").arg(tools.path(dir));
                }
                command
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn at(path: &std::path::Path) -> Result<Self, VmError> {
        Self::probe(Origin::Named(path.into()))
    }
}

fn major(version: &str) -> Option<u32> {
    version.strip_prefix("QEMU emulator version ")?.split('.').next()?.parse().ok()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read() {
        assert_eq!(major("QEMU emulator version 10.0.2 (Debian 1:10.0.2)\nCopyright"), Some(10));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn a_missing_qemu_is_one_line_with_the_next_step() {
        let error = Qemu::at(std::path::Path::new("/nonexistent/qemu")).unwrap_err().to_string();
        assert!(error.starts_with("find QEMU: run /nonexistent/qemu: "), "{error}");
        assert!(error.contains("unset LOWLAT_QEMU"), "{error}");
    }
}
