//! What can be put back exactly, and what cannot.

use super::options::netem_may_hide_a_distribution;
use super::qdisc::{Parent, Qdisc};

/// Kinds whose dump, sent back (`options::as_request`), gives the same dump again.
///
/// Tried by the writing crate's `tests/kernel_writes.rs` on whatever the running kernel has (dump, replace, put back,
/// dump equal): all of these were seen exact, on Linux 6.12 (Debian) each, on 6.18 those it had (the FIFOs, tbf).
///
/// Not among them: sfq (the default of 128 flows comes back as 127, seen on 6.12), pie and fq_pie (times rounded to
/// scheduler ticks both ways, not tried); kinds with classes, whose classes, filters and inner queues are lost with
/// them; ingress hooks, which carry filters.
const RESTORABLE: &[&str] =
    &["pfifo", "bfifo", "pfifo_head_drop", "pfifo_fast", "noqueue", "fq", "fq_codel", "codel", "netem", "tbf", "cake"];

/// Whether a queue discipline of a kind can be put back from its own dump. See [`why_not_restorable`] for one that is
/// there: a netem with jitter cannot, for example.
pub fn restorable(kind: &str) -> bool {
    RESTORABLE.contains(&kind)
}

/// Why this queue discipline, among all of the namespace, could not be put back exactly; `None` if it can be.
///
/// One the kernel made by itself (handle `0:`) at the root comes back when what replaced it is deleted, also `mq` with
/// all its children.
pub fn why_not_restorable(q: &Qdisc, all: &[Qdisc]) -> Option<String> {
    if q.parent == Parent::Root && q.handle.0 == 0 {
        return None;
    }
    if !restorable(&q.kind) {
        return Some(format!("{} may hold classes or filters that its dump does not show", q.kind));
    }
    if q.kind == "netem" && q.options.as_deref().is_some_and(netem_may_hide_a_distribution) {
        return Some("netem with jitter may hold a delay distribution that the kernel does not show".to_owned());
    }
    let child = all.iter().find(|c| {
        c.ifindex == q.ifindex
            && matches!(c.parent, Parent::Class(p) if q.handle.0 != 0 && p.major() == q.handle.major())
    });
    child.map(|c| format!("{} hangs inside it at {}", c.kind, c.parent))
}

#[cfg(test)]
mod tests {
    use super::super::qdisc::Handle;
    use super::*;

    fn qdisc(kind: &str, handle: u32, parent: Parent) -> Qdisc {
        Qdisc {
            ifindex: 2,
            kind: kind.into(),
            handle: Handle(handle),
            parent,
            options: None,
            bytes: 0,
            packets: 0,
            qlen: 0,
            backlog: 0,
            drops: 0,
            requeues: 0,
            overlimits: 0,
        }
    }

    #[test]
    fn a_parent_of_another_is_not_restorable() {
        let tbf = qdisc("tbf", 0x1_0000, Parent::Root);
        let child = qdisc("pfifo", 0x2_0000, Parent::Class(Handle(0x1_0001)));
        assert_eq!(why_not_restorable(&tbf, std::slice::from_ref(&tbf)), None);
        assert!(why_not_restorable(&tbf, &[tbf.clone(), child]).is_some());
    }

    #[test]
    fn what_the_kernel_made_by_itself_comes_back_by_deleting() {
        let mq = qdisc("mq", 0, Parent::Root);
        assert_eq!(why_not_restorable(&mq, &[]), None);
        assert!(why_not_restorable(&qdisc("mq", 0x1_0000, Parent::Root), &[]).is_some());
        assert!(why_not_restorable(&qdisc("htb", 0x1_0000, Parent::Root), &[]).is_some());
    }
}
