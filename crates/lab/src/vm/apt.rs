//! Debian packages through apt, with lists, sources and cache of our own: the machine's configuration is only read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::cache;
use super::error::VmError;

/// Suites by which a Debian mirror is distinguished from another distribution's.
const DEBIAN_SUITES: [&str; 8] = ["bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];

/// An apt configuration of its own.
#[derive(Debug)]
pub(crate) struct Apt {
    dir: PathBuf,
}

/// Runs a command and gives its output, or the last line of what it complained about.
pub(crate) fn run(command: &mut Command, action: &str, cache: &Path) -> Result<Output, VmError> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => VmError::MissingTool { tool: tool.clone(), package: package_of(&tool).into() },
        _ => VmError::io("run", &tool)(e),
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let worst = text.lines().find(|l| l.starts_with("E:")).or_else(|| text.lines().last()).unwrap_or("no message");
    Err(VmError::Packages { action: action.into(), detail: worst.trim().into(), cache: cache.into() })
}

fn package_of(tool: &str) -> &'static str {
    match tool {
        "dpkg" => "dpkg (the lab needs Debian or Ubuntu)",
        "apt-get" | "apt-cache" => "apt (the lab needs Debian or Ubuntu)",
        _ => "that holds it",
    }
}

/// The Debian mirror: `LOWLAT_DEBIAN_MIRROR`, else the first of the machine's sources that offers a Debian suite.
pub(crate) fn mirror(cache: &Path) -> Result<String, VmError> {
    if let Some(url) = std::env::var("LOWLAT_DEBIAN_MIRROR").ok().filter(|u| !u.is_empty()) {
        return Ok(url);
    }
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]);
    let output = run(&mut command, "read the machine's apt sources", cache)?;
    pick_mirror(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| VmError::NoMirror { os: os_name() })
}

fn pick_mirror(listing: &str) -> Option<String> {
    listing.lines().find_map(|line| {
        let (url, suite) = line.split_once(' ')?;
        let base = suite.trim_end_matches("-updates").trim_end_matches("-backports");
        DEBIAN_SUITES.contains(&base).then(|| url.trim_end_matches('/').to_owned())
    })
}

fn os_name() -> String {
    fs::read_to_string("/etc/os-release")
        .ok()
        .and_then(|t| t.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=").map(|v| v.trim_matches('"').to_owned())))
        .unwrap_or_else(|| "this system".into())
}

impl Apt {
    /// A configuration named `name` under `cache` for `suites` of `mirror`, with its package lists fetched.
    pub(crate) fn open(cache: &Path, name: &str, mirror: &str, suites: &[&str]) -> Result<Self, VmError> {
        let dir = cache.join("apt").join(name);
        for sub in ["state/lists/partial", "cache/archives/partial"] {
            cache::make(&dir.join(sub))?;
        }
        let write = |file: &str, text: &str| {
            let path = dir.join(file);
            fs::write(&path, text).map_err(VmError::io("write", path.clone()))
        };
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let signed = if Path::new(keyring).exists() { format!(" signed-by={keyring}") } else { String::new() };
        let sources: Vec<_> = suites.iter().map(|s| format!("deb [arch=amd64{signed}] {mirror} {s} main\n")).collect();
        write("sources.list", &sources.concat())?;
        // An empty status file makes apt give the whole closure, libc included: what is unpacked then depends on
        // nothing of the host, and the same QEMU runs on every distribution.
        write("status", "")?;
        write("apt.conf", &config(&dir))?;
        let apt = Self { dir };
        let mut update = apt.command("apt-get");
        // Without this a suite that cannot be had is a mere warning (apt-get(8), --error-on).
        update.args(["update", "-qq", "-o", "APT::Update::Error-Mode=any"]);
        run(&mut update, &format!("fetch package lists of {} from {mirror}", suites.join(", ")), &apt.dir)?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.dir.join("apt.conf"));
        command
    }

    /// Versions of a package, newest first.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<String>, VmError> {
        let output =
            run(self.command("apt-cache").args(["madison", package]), &format!("look up {package}"), &self.dir)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(|l| l.split('|').nth(1)).map(|v| v.trim().to_owned()).collect())
    }

    /// Packages that one version of a package depends on.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>, VmError> {
        let output =
            run(self.command("apt-cache").args(["depends", package]), &format!("look up {package}"), &self.dir)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.lines().filter_map(|l| l.trim().strip_prefix("Depends: ")).map(str::to_owned).collect())
    }

    /// Downloads packages with everything they need and unpacks all into `root`; the archives are removed.
    pub(crate) fn unpack_closure(&self, release: &str, packages: &[&str], root: &Path) -> Result<(), VmError> {
        let mut get = self.command("apt-get");
        get.args(["install", "--download-only", "--no-install-recommends", "-qq", "-y", "-t", release]).args(packages);
        let fetched = run(&mut get, &format!("download {}", packages.join(", ")), &self.dir);
        let archives = self.dir.join("cache/archives");
        let done = fetched.and_then(|_| unpack_all(&archives, root));
        drop_archives(&archives);
        done
    }

    /// Downloads just these packages and unpacks them into `root`; the archives are removed.
    pub(crate) fn unpack_only(&self, packages: &[String], root: &Path) -> Result<(), VmError> {
        let archives = root.with_extension("debs");
        cache::make(&archives)?;
        let mut get = self.command("apt-get");
        get.current_dir(&archives).args(["download", "-qq"]).args(packages);
        let done = run(&mut get, &format!("download {}", packages.join(", ")), &self.dir)
            .and_then(|_| unpack_all(&archives, root));
        let _ = fs::remove_dir_all(&archives);
        done
    }
}

fn config(dir: &Path) -> String {
    let dir = dir.display();
    // Post-Invoke hooks of the machine may clean the machine's own cache (container images do): not ours to trigger.
    format!(
        r#"Dir::State "{dir}/state";
Dir::State::status "{dir}/status";
Dir::Cache "{dir}/cache";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Sandbox::User "root";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
"#
    )
}

fn archives_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|x| x == "deb")).collect()
}

fn unpack_all(archives: &Path, root: &Path) -> Result<(), VmError> {
    cache::make(root)?;
    for deb in archives_in(archives) {
        let action = format!("unpack {}", deb.display());
        run(Command::new("dpkg").arg("-x").arg(&deb).arg(root), &action, archives)?;
    }
    Ok(())
}

fn drop_archives(dir: &Path) {
    for deb in archives_in(dir) {
        let _ = fs::remove_file(deb);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debian_mirror_is_distinguished_from_others() {
        let ours = "http://m/debian-security/ bookworm-security\nhttp://m/debian/ bookworm-updates\n";
        assert_eq!(pick_mirror(ours).as_deref(), Some("http://m/debian"));
        assert_eq!(pick_mirror("http://archive.ubuntu.com/ubuntu/ noble\nhttps://x/y/ nodistro\n"), None);
        assert_eq!(pick_mirror(""), None);
    }

    #[test]
    fn a_failing_download_is_one_line_and_leaves_no_archive() {
        let dir = std::env::temp_dir().join(format!("lowlat-apt-{}", std::process::id()));
        // Port 9 (discard) of the loopback address has no listener.
        let error = Apt::open(&dir, "t", "http://127.0.0.1:9/debian", &["bookworm"]).unwrap_err().to_string();
        assert!(error.starts_with("fetch package lists of bookworm from http://127.0.0.1:9/debian: "), "{error}");
        assert_eq!(error.lines().count(), 1);
        assert!(archives_in(&dir.join("apt/t/cache/archives")).is_empty());
        fs::remove_dir_all(&dir).unwrap();
    }
}
