//! Queue disciplines: put a kind, put back what was dumped, give the place back to the kernel.

use lowlat_model::op::QdiscState;
use lowlat_netlink::tc::{self, Parent, TcHandle};
use lowlat_sys::hex;

use crate::WriteError;

/// Puts a queue discipline in its place.
///
/// | state | done |
/// |---|---|
/// | handle `0:` (kind for people, or empty) at the root or ingress | delete what is there; the kernel's default returns |
/// | handle `0:` with a kind under a class of a root that the kernel made | make all of these anew, which has no other way |
/// | handle `0:` with a kind under a class of another | put that kind with its defaults: a class left empty drops every packet |
/// | handle empty | put a fresh one of the kind, the kernel chooses the handle |
/// | any other | put a fresh one of the kind with this handle and these dumped options ([`tc::options::as_request`]) |
///
/// Empty `options_hex` means the kind's defaults.
pub(crate) fn put(iface: &str, parent: &str, q: &QdiscState) -> Result<(), WriteError> {
    let what =
        || format!("put {} at {iface} {parent}", if q.kind.is_empty() { "the kernel's default" } else { &q.kind });
    let refuse = |why: String| WriteError::not_allowed(what(), why);
    let place: Parent = parent.parse().map_err(refuse)?;
    let handle: TcHandle = if q.handle.is_empty() { TcHandle(0) } else { q.handle.parse().map_err(refuse)? };
    let options = hex::bytes_of(&q.options_hex).ok_or_else(|| refuse("its options are not hexadecimal text".into()))?;
    let options = (!options.is_empty()).then(|| tc::options::as_request(&q.kind, &options));

    if q.handle == "0:" {
        if !matches!(place, Parent::Class(_)) {
            return match tc::delete(iface, place) {
                // The kernel's own is there already: there is nothing to delete (net/sched/sch_api.c, tc_get_qdisc).
                Err(e)
                    if e.errno() == Some(libc::ENOENT)
                        && tc::qdisc::at(iface, place)?.is_none_or(|q| q.handle.0 == 0) =>
                {
                    Ok(())
                }
                other => Ok(other?),
            };
        }
        if matches!(place, Parent::Class(class) if class.major() == 0) {
            return make_anew(iface, place, &q.kind);
        }
        if q.kind.is_empty() {
            return Err(refuse("under a class the kernel has no default; name a kind".into()));
        }
        return Ok(tc::put(iface, place, TcHandle(0), &q.kind, None)?);
    }
    if q.kind.is_empty() {
        return Err(refuse("it names no kind".into()));
    }
    Ok(tc::put(iface, place, handle, &q.kind, options.as_deref())?)
}

/// A class of a root without a number cannot be named (net/sched/sch_api.c, `tc_modify_qdisc` looks the root up by it). Its
/// queue discipline is made with the root's: another root, and none, and the kernel makes all of them by its default.
fn make_anew(iface: &str, place: Parent, kind: &str) -> Result<(), WriteError> {
    let there = tc::qdisc::at(iface, place)?;
    if there.is_none_or(|q| q.kind == kind || q.handle.0 != 0) {
        return Ok(());
    }
    // Killed in between it leaves the same queues under a root with a number.
    tc::put(iface, Parent::Root, TcHandle(0), "mq", None)?;
    Ok(tc::delete(iface, Parent::Root)?)
}
