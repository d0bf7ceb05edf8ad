//! The far end's place: where `lowlat serve` may be placed, and asking it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use lowlat_model::tune::Placed;
use lowlat_peers::lowlat::place::{Answer, PlacementRequest, ask, message_len};
use lowlat_peers::serve::{LONGEST_S, Places};
use lowlat_sys::Sys;
use lowlat_transport::clock;
use lowlat_tune::placement;

use crate::conditions;
use crate::path::ProbePath;

/// How long an answer is waited for at most, ns. Longer than the round trip of any path that is worth tuning.
const WAIT_NS: u64 = 600_000_000;

/// Where a far end on this host may be placed. Its NIC is the only physical interface that is up; where there are
/// several, clients may come by each, and none counts.
pub fn places(sys: &dyn Sys) -> Places {
    let links = sys.list("/sys/class/net").into_value().unwrap_or_default();
    let state = |link: &String, file: &str| sys.read(&format!("/sys/class/net/{link}/{file}")).into_value();
    let physical = |link: &&String| sys.link_target(&format!("/sys/class/net/{link}/device")).into_value().is_some();
    let up: Vec<&String> = links
        .iter()
        .filter(physical)
        .filter(|link| state(link, "operstate").is_some_and(|state| state.trim() == "up"))
        .collect();
    let site = lowlat_collect::site(sys, if let [only] = up[..] { Some(only.as_str()) } else { None });
    let (cpus, nic) = (conditions::cpus(&site), placement::Nic::of(&site.links));
    let online: Vec<u32> = cpus.nodes.values().flatten().chain(&cpus.allowed).copied().collect();
    let beside = |near: u32| Some((near, placement::beside(&cpus, near)?));
    Places {
        host: host(sys),
        alone: placement::near(&cpus, &nic, None).cpu,
        beside: online.into_iter().filter_map(beside).collect::<BTreeMap<_, _>>(),
        before: lowlat_measure::placement::allowed_cpus().unwrap_or_default(),
    }
}

/// Tells two hosts apart: the boot's random number (random(4), `boot_id`), folded; 0 where it cannot be read.
fn host(sys: &dyn Sys) -> u64 {
    let text = sys.read("/proc/sys/kernel/random/boot_id").into_value().unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let id = u128::from_str_radix(&digits, 16).unwrap_or(0);
    #[allow(clippy::cast_possible_truncation)] // folded: both halves count
    let folded = (id ^ (id >> 64)) as u64;
    folded
}

/// This process among the clients of a far end.
fn client() -> u64 {
    static CLIENT: OnceLock<u64> = OnceLock::new();
    *CLIENT.get_or_init(|| {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    })
}

/// Asks the far end of `path` to stay on one CPU for `lasting_ns`, or says why it was not asked or does not. Asking
/// again prolongs it. That nothing answers is not a failure here: the measurement will tell.
pub fn place(path: &ProbePath, near: &Placed, lasting_ns: u64, sys: &dyn Sys) -> Result<Placed, String> {
    if path.peer == lowlat_peers::icmp::ENTRY.name {
        return Err("echoes are answered by the far kernel, not by a program".to_owned());
    }
    if path.peer != lowlat_peers::lowlat::ENTRY.name {
        return Err(format!("{} far ends take no placement requests", path.peer));
    }
    let seconds = u32::try_from(lasting_ns.div_ceil(1_000_000_000)).unwrap_or(u32::MAX).clamp(1, LONGEST_S);
    let request = PlacementRequest { client: client(), host: host(sys), cpu: near.cpu, seconds };
    match exchange(path, &request) {
        Some(Answer::Fixed(cpu)) => Ok(placed(cpu, "set by serve --cpu")),
        Some(Answer::ByRule(cpu)) => Ok(placed(cpu, "by the same rule, on the far end's host")),
        Some(Answer::Beside(cpu)) => {
            Ok(Placed { same_host: true, ..placed(cpu, "a different CPU than the prober's, on the same host") })
        }
        Some(Answer::TooOld) => Err("the far end is too old for placement requests".to_owned()),
        Some(Answer::Busy) => Err("the far end is placed for another client".to_owned()),
        Some(Answer::Cannot | Answer::Released) => Err("the far end has no CPU to pin to".to_owned()),
        None => Err("the far end did not answer the placement request".to_owned()),
    }
}

/// Gives the far end's place back.
pub fn release(path: &ProbePath) {
    if path.peer == lowlat_peers::lowlat::ENTRY.name {
        exchange(path, &PlacementRequest { client: client(), host: 0, cpu: None, seconds: 0 });
    }
}

fn exchange(path: &ProbePath, request: &PlacementRequest) -> Option<Answer> {
    let len = message_len(path.key.as_ref());
    let plain = ProbePath { size: len, stamps: false, ..path.clone() };
    let mut engine = plain.open(lowlat_transport::block::NAME).ok()?;
    let until = clock::now().saturating_add(WAIT_NS.min(path.timeout_ns));
    ask(engine.as_mut(), path.key.as_ref(), request, until).ok().flatten()
}

fn placed(cpu: u32, why: &str) -> Placed {
    Placed { cpu: Some(cpu), why: format!("CPU {cpu}: {why}"), ..Placed::default() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use super::*;
    use lowlat_testkit::FakeSys;

    #[test]
    fn a_host_is_known_by_its_boot() {
        let of = |id: &str| host(&FakeSys::new().file("/proc/sys/kernel/random/boot_id", id));
        let one = of("25a2b5ac-1111-2222-3333-444444444444\n");
        assert!(one != 0 && one != of("25a2b5ac-1111-2222-3333-444444444445\n"));
        assert_eq!(host(&FakeSys::new()), 0, "unknown is not a host");
    }

    #[test]
    fn a_far_end_s_places_are_cpus_that_it_may_use() {
        let sys = FakeSys::new().file("/sys/devices/system/cpu/online", "0-1\n");
        let places = places(&sys);
        let allowed = lowlat_measure::placement::allowed_cpus().unwrap();
        assert_eq!(places.before, allowed);
        assert!(places.alone.is_some_and(|c| allowed.contains(&c)));
        assert_eq!(places.beside.len(), if allowed.len() > 1 { allowed.len() } else { 0 });
        assert!(places.beside.iter().all(|(near, far)| near != far && allowed.contains(far)));
    }
}
