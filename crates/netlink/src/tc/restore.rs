//! What can be put back exactly, and what cannot.

use super::options::netem_may_hide_a_distribution;
use super::qdisc::{Parent, QdiscMessage};

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

/// What is attached to this queue discipline besides its kind and options, as text, and would be lost if it were replaced:
/// what its dump carries, and the queue disciplines that somebody put inside it.
///
/// An inner one that the kernel made on its own (handle `0:`) comes back with it; so does one of the kind and options of
/// such a sibling, which is what a class of `mq` gets back when it was set and put back alone.
pub fn attached(q: &QdiscMessage, all: &[QdiscMessage]) -> Vec<String> {
    let inside = |c: &&QdiscMessage| {
        c.ifindex == q.ifindex && matches!(c.parent, Parent::Class(p) if p.major() == q.handle.major())
    };
    let as_made = |c: &QdiscMessage| {
        let sibling = |s: &QdiscMessage| s.handle.0 == 0 && s.kind == c.kind && s.options == c.options;
        c.handle.0 == 0 || all.iter().filter(inside).any(sibling)
    };
    let children = all.iter().filter(inside).filter(|c| !as_made(c) || !c.carries.is_empty());
    let mut words = q.carries.clone();
    for child in children.map(|c| format!("{} inside it at {}", c.kind, c.parent)) {
        if !words.contains(&child) {
            words.push(child);
        }
    }
    words
}

/// Why this queue discipline, among all of the namespace, could not be put back exactly; `None` if it can be.
///
/// One the kernel made on its own (handle `0:`) at the root comes back when what replaced it is deleted, also `mq` with
/// all the children that the kernel made.
pub fn why_not_restorable(q: &QdiscMessage, all: &[QdiscMessage]) -> Option<String> {
    let by_kernel = q.parent == Parent::Root && q.handle.0 == 0;
    if !by_kernel && !restorable(&q.kind) {
        return Some(format!("{} may hold classes or filters that its dump does not show", q.kind));
    }
    if q.kind == "netem" && q.options.as_deref().is_some_and(netem_may_hide_a_distribution) {
        return Some("netem with jitter may hold a delay distribution that the kernel does not show".to_owned());
    }
    let attached = attached(q, all);
    (!attached.is_empty()).then(|| format!("{} has {}", q.kind, attached.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::qdisc::TcHandle;
    use super::*;

    fn qdisc(kind: &str, handle: u32, parent: Parent) -> QdiscMessage {
        QdiscMessage {
            ifindex: 2,
            kind: kind.into(),
            handle: TcHandle(handle),
            parent,
            options: None,
            bytes: 0,
            packets: 0,
            qlen: 0,
            backlog: 0,
            drops: 0,
            requeues: 0,
            overlimits: 0,
            carries: Vec::new(),
        }
    }

    #[test]
    fn a_parent_of_another_is_not_restorable() {
        let tbf = qdisc("tbf", 0x1_0000, Parent::Root);
        let child = qdisc("pfifo", 0x2_0000, Parent::Class(TcHandle(0x1_0001)));
        assert_eq!(why_not_restorable(&tbf, std::slice::from_ref(&tbf)), None);
        assert!(why_not_restorable(&tbf, &[tbf.clone(), child]).is_some());
    }

    #[test]
    fn what_somebody_put_under_the_kernels_own_does_not_come_back() {
        let mq = qdisc("mq", 0, Parent::Root);
        let child = |kind: &str, handle: u32, n: u32| qdisc(kind, handle, Parent::Class(TcHandle(n)));
        let made = [mq.clone(), child("fq_codel", 0, 1), child("fq_codel", 0, 2)];
        assert_eq!(why_not_restorable(&mq, &made), None);
        let set = [mq.clone(), child("pfifo", 0x8001_0000, 1), child("fq_codel", 0, 2)];
        assert_eq!(why_not_restorable(&mq, &set).as_deref(), Some("mq has pfifo inside it at 0:1"));
        let set_and_back = [mq.clone(), child("fq_codel", 0x8001_0000, 1), child("fq_codel", 0, 2)];
        assert_eq!(why_not_restorable(&mq, &set_and_back), None);
    }

    #[test]
    fn what_the_kernel_made_on_its_own_comes_back_by_deleting() {
        let mq = qdisc("mq", 0, Parent::Root);
        assert_eq!(why_not_restorable(&mq, &[]), None);
        assert!(why_not_restorable(&qdisc("mq", 0x1_0000, Parent::Root), &[]).is_some());
        assert!(why_not_restorable(&qdisc("htb", 0x1_0000, Parent::Root), &[]).is_some());
    }
}
