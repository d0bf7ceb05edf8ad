//! What the guard of a change watches: a target that must go on answering.

use lowlat_apply::Watch;
use lowlat_model::Plan;
use lowlat_sys::{Sys, query};
use lowlat_transport::Proto;

use crate::path::{PathAsk, ProbePath};
use crate::{Failure, probe};

/// The path counts as cut when no ping was answered for this long.
const LOST_AFTER_NS: u64 = 2_000_000_000;
/// The same where a step resets the link: 1000BASE-T takes some seconds to negotiate it anew.
const LOST_AFTER_RESET_NS: u64 = 10_000_000_000;
/// Five pings are tried, each this long, before the target counts as silent once.
const PING_NS: u64 = 80_000_000;

/// What to watch while a plan is applied; refused where it does not answer now, since its silence would tell nothing.
///
/// # Errors
/// There is no gateway, or the target does not answer.
pub fn watch(target: &str, plan: &Plan, sys: &dyn Sys) -> Result<Watch, Failure> {
    let target = if target.is_empty() { gateway(sys)? } else { target.to_owned() };
    if !answers(&target) {
        return Err(Failure::new(format!(
            "apply: {target}, the watch target, answers no ping; give another with --watch"
        )));
    }
    let resets = plan.steps.iter().any(|s| s.resets_link);
    Ok(Watch { target, lost_after_ns: if resets { LOST_AFTER_RESET_NS } else { LOST_AFTER_NS } })
}

/// The default route's next hop.
fn gateway(sys: &dyn Sys) -> Result<String, Failure> {
    let routes = query::routes(sys).into_value().unwrap_or_default();
    let links = query::links(sys).into_value().unwrap_or_default();
    let route = routes.iter().find(|r| r.destination == "default" && r.gateway.is_some());
    let Some((gateway, oif)) = route.and_then(|r| Some((r.gateway.clone()?, r.oif))) else {
        return Err(Failure::new("apply: there is no default gateway to watch; give one with --watch TARGET"));
    };
    let link = links.iter().find(|l| Some(l.index) == oif);
    // A link-local address is on every link.
    Ok(match link {
        Some(link) if gateway.starts_with("fe80:") => format!("{gateway}%{}", link.name),
        _ => gateway,
    })
}

/// Whether a target answers a ping.
pub fn answers(target: &str) -> bool {
    let ask = PathAsk {
        proto: Proto::Icmp,
        peer: "icmp".to_owned(),
        size: 64,
        cpu: None,
        timeout_ns: PING_NS,
        dscp: None,
        priority: None,
        key_file: None,
        busy_poll_ns: None,
        dpdk: None,
    };
    // Not `block`, whose waits a signal ends: the guard takes none.
    ProbePath::new(target, &ask, None).and_then(|path| probe::reach(&path, "epoll")).is_ok()
}
