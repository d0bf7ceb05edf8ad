//! Files of `/sys/devices/system/cpu/cpuN/`.

use lowlat_model::op::Target;
use lowlat_model::plan::Order;
use lowlat_model::tune::Scope;
use lowlat_model::{Locus, Reading, State};
use lowlat_sys::Sys;

use crate::place::numbered;
use crate::{AtBoot, Kind, Place, Write, text};

/// Where the processors are.
pub(crate) const ROOT: &str = "/sys/devices/system/cpu/";

/// A file by its name below `cpuN`. Those of `cpufreq/` are of the frequency policy, which may hold several CPUs.
#[derive(Debug)]
pub struct CpuFile(pub &'static str);

impl CpuFile {
    fn is_of_policy(&self) -> bool {
        self.0.starts_with("cpufreq/")
    }
}

impl Place for CpuFile {
    fn loci(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Cpu(n) = target else { return Ok(Vec::new()) };
        let n = if self.is_of_policy() { policy_of(sys, *n) } else { *n };
        Ok(vec![Locus::File { path: format!("{ROOT}cpu{n}/{}", self.0) }])
    }
    fn targets(&self, sys: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        numbered(sys, ROOT.trim_end_matches('/'), "cpu").map(|n| n.into_iter().map(Target::Cpu).collect())
    }
    fn owns(&self, target: &Target, locus: &Locus) -> bool {
        let (Target::Cpu(n), Locus::File { path }) = (target, locus) else { return false };
        // The file of the policy's first CPU: see `policy_of`.
        let of = path.strip_prefix(ROOT).and_then(|p| p.strip_prefix("cpu")?.strip_suffix(self.0)?.strip_suffix('/'));
        let of = of.and_then(|f| f.parse::<u32>().ok().filter(|m| m.to_string() == f));
        of.is_some_and(|m| if self.is_of_policy() { m <= *n } else { m == *n })
    }
    fn order(&self) -> Order {
        Order::Power
    }
}

/// The switch of one idle state of one CPU: `cpuN/cpuidle/stateM/disable`.
#[derive(Debug)]
pub struct IdleSwitch;

impl IdleSwitch {
    fn path(cpu: u32, state: u32) -> String {
        format!("{ROOT}cpu{cpu}/cpuidle/state{state}/disable")
    }
}

impl Place for IdleSwitch {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::IdleState(cpu, state) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::File { path: Self::path(*cpu, *state) }])
    }
    fn targets(&self, sys: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        numbered(sys, ROOT.trim_end_matches('/'), "cpu").map(|cpus| {
            let states = |cpu: &u32| numbered(sys, &format!("{ROOT}cpu{cpu}/cpuidle"), "state").into_value();
            let of = |cpu: u32| {
                states(&cpu).into_iter().flatten().map(move |state| Target::IdleState(cpu, state)).collect::<Vec<_>>()
            };
            cpus.into_iter().flat_map(of).collect()
        })
    }
    fn order(&self) -> Order {
        Order::Power
    }
}

/// A file of every folder of `intel_uncore_frequency/`: one for each package and die, or for each cluster. All take one value.
///
/// Newer processors (TPMI, from 6.5 on) have both: `uncoreNN` for each cluster, and `package_NN_die_00`, whose write sets all
/// clusters of the package and refuses each of them a lower floor from then on
/// (drivers/platform/x86/intel/uncore-frequency/uncore-frequency-tpmi.c in linux 6.12, uncore_write_control_freq). An undo of
/// the package would give every cluster the lowest floor of all. So where there are clusters, only they are written: each has
/// a value of its own, and the package shows the lowest.
#[derive(Debug)]
pub struct UncoreFile(pub &'static str);

const UNCORE: &str = "/sys/devices/system/cpu/intel_uncore_frequency";

const CLUSTER: &str = "uncore";

/// `package_00_die_00`, `uncore03`.
fn is_uncore(name: &str) -> bool {
    (name.starts_with("package_") || name.starts_with(CLUSTER))
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl UncoreFile {
    fn of(&self, folders: &[String]) -> Vec<Locus> {
        let file = |name: &&String| Locus::File { path: format!("{UNCORE}/{name}/{}", self.0) };
        let all: Vec<&String> = folders.iter().filter(|n| is_uncore(n)).collect();
        let clusters = all.iter().any(|n| n.starts_with(CLUSTER));
        all.iter().filter(|n| !clusters || n.starts_with(CLUSTER)).map(file).collect()
    }
}

impl Place for UncoreFile {
    fn loci(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        if *target != Target::Host {
            return Ok(Vec::new());
        }
        // A host without any has the file of the first one missing, which the read then reports.
        let names = sys.list(UNCORE).into_value().unwrap_or_else(|| vec!["package_00_die_00".to_owned()]);
        Ok(self.of(&names))
    }
    fn targets(&self, sys: &dyn Sys, _: Option<&str>) -> Reading<Vec<Target>> {
        sys.list(UNCORE).map(|_| vec![Target::Host])
    }
    fn owns(&self, target: &Target, locus: &Locus) -> bool {
        let Locus::File { path } = locus else { return false };
        let name = path.strip_prefix(UNCORE).and_then(|p| p.strip_prefix('/')?.strip_suffix(self.0)?.strip_suffix('/'));
        *target == Target::Host && name.is_some_and(is_uncore)
    }
    fn order(&self) -> Order {
        Order::Power
    }
}

/// The first CPU of the frequency policy that holds this one: `cpuN/cpufreq` of all its CPUs is one folder
/// (drivers/cpufreq/cpufreq.c, `add_cpu_dev_symlink`), so that one write sets them all. The CPU itself where the policy
/// does not report.
fn policy_of(sys: &dyn Sys, cpu: u32) -> u32 {
    let affected = sys.read(&format!("{ROOT}cpu{cpu}/cpufreq/affected_cpus")).into_value();
    let affected: Vec<u32> =
        affected.iter().flat_map(|t| t.split_whitespace()).filter_map(|n| n.parse().ok()).collect();
    affected.iter().copied().filter(|_| affected.contains(&cpu)).min().unwrap_or(cpu)
}

#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) path: &'a str,
}

const GOVERNOR: &str = "/scaling_governor";
const PREFERENCE: &str = "/energy_performance_preference";

impl At<'_> {
    /// intel_pstate in active mode sets the preference with the governor
    /// (Documentation/admin-guide/pm/intel_pstate.rst, "Energy vs Performance Hints").
    fn preference(&self) -> Option<String> {
        self.path.strip_suffix(GOVERNOR).map(|dir| format!("{dir}{PREFERENCE}"))
    }
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        self.path.to_owned()
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        text::read(sys, self.path)
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        text::line(self.path, set)
    }
    fn shown(&self) -> Option<String> {
        Some(text::shown(self.path))
    }
    fn undo(&self, was: &State) -> String {
        text::undo(self.path, was)
    }
    fn same(&self, a: &State, b: &State) -> bool {
        text::same_in(self.path, a, b)
    }
    fn scope(&self) -> Scope {
        Scope::Host
    }
    fn of_namespace(&self) -> bool {
        false
    }
    fn beside(&self, _: &dyn Sys) -> Result<Vec<Locus>, String> {
        Ok(self.preference().map(|path| Locus::File { path }).into_iter().collect())
    }
    fn may_change(&self, other: &Locus) -> bool {
        matches!(other, Locus::File { path } if self.preference().as_ref() == Some(path))
    }
    fn at_boot(&self) -> AtBoot {
        AtBoot::Tmpfile(self.path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Blank;

    #[test]
    fn an_idle_state_is_a_file_of_its_own() {
        let at = |path: &str| Locus::File { path: path.to_owned() };
        let target = Target::IdleState(3, 2);
        let locus = at("/sys/devices/system/cpu/cpu3/cpuidle/state2/disable");
        assert_eq!(IdleSwitch.loci(&Blank, &target).unwrap(), std::slice::from_ref(&locus));
        assert!(IdleSwitch.owns(&target, &locus) && !IdleSwitch.owns(&Target::IdleState(3, 1), &locus));
        assert!(!IdleSwitch.owns(&target, &at("/sys/devices/system/cpu/cpu3/cpuidle/state2/../state1/disable")));
        assert_eq!(IdleSwitch.loci(&Blank, &Target::Cpu(3)).unwrap(), []);
    }

    #[test]
    fn what_the_cores_share_has_a_file_for_each_package() {
        let place = UncoreFile("min_freq_khz");
        let at = |name: &str| Locus::File { path: format!("{UNCORE}/{name}/min_freq_khz") };
        let loci = place.of(&["package_00_die_00", "package_01_die_00", "power"].map(str::to_owned));
        assert_eq!(loci, [at("package_00_die_00"), at("package_01_die_00")]);
        assert!(loci.iter().all(|l| place.owns(&Target::Host, l)));
        // A package that has clusters is written through them alone: its undo would overwrite theirs.
        let tpmi = place.of(&["package_00_die_00", "package_01_die_00", "uncore00", "uncore01"].map(str::to_owned));
        assert_eq!(tpmi, [at("uncore00"), at("uncore01")]);
        assert!(tpmi.iter().all(|l| place.owns(&Target::Host, l)));
        assert_eq!(
            place.loci(&Blank, &Target::Host).unwrap(),
            [at("package_00_die_00")],
            "its read says what is missing"
        );
        for foreign in ["../../../x", "package_00/../..", "power", "package_$(x)"] {
            assert!(!place.owns(&Target::Host, &at(foreign)), "{foreign}");
        }
        assert!(!place.owns(&Target::Cpu(0), &at("package_00_die_00")));
    }
}
