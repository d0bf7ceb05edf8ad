//! Whether this process may make the writes of a plan or of a rollback at all, known before the first.

use lowlat_model::{Capability, Op, Plan};
use lowlat_sys::effective_capabilities;
use lowlat_sys::store::Store;

use crate::error::ApplyError;
use crate::live::folder;
use crate::log::read_all;

/// The capabilities that this process lacks for a plan, where it can make no step of it; none where it can make one: what the
/// others lack is said at their writes.
pub fn lacking(plan: &Plan) -> Vec<Capability> {
    of_all(plan.steps.iter().map(|step| step.ops.as_slice()), effective_capabilities())
}

/// As [`lacking`], for putting back everything that stands.
///
/// # Errors
/// Where the journals cannot be read.
pub fn lacking_to_restore(store: &Store) -> Result<Vec<Capability>, ApplyError> {
    let open = read_all(&folder(store))?.into_iter().map(|f| f.ledger).filter(|l| !l.closed);
    let writes: Vec<[Op; 1]> =
        open.flat_map(|l| l.standing).map(|s| [Op { locus: s.op.locus, set: s.prior }]).collect();
    Ok(of_all(writes.iter().map(<[Op; 1]>::as_slice), effective_capabilities()))
}

fn of_all<'a>(steps: impl Iterator<Item = &'a [Op]>, effective: u64) -> Vec<Capability> {
    let mut all = Vec::new();
    for ops in steps {
        let mut lacks = ops.iter().filter_map(|op| lowlat_sysmut::lacks(op, effective)).peekable();
        if lacks.peek().is_none() {
            return Vec::new();
        }
        for capability in lacks {
            if !all.contains(&capability) {
                all.push(capability);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use lowlat_model::Locus;

    use super::*;

    #[test]
    fn one_step_that_may_be_made_is_enough() {
        let feature = |iface: &str| [Op::text(Locus::Feature { iface: iface.into(), name: "rx-gro".into() }, "on")];
        let (a, b) = (feature("eth0"), feature("eth1"));
        let file = [Op::text(Locus::File { path: "/proc/sys/net/core/no_such_setting".into() }, "1")];
        let of = |steps: &[&[Op]], effective: u64| of_all(steps.iter().copied(), effective);
        assert_eq!(of(&[&a, &b], 0), [Capability::NetAdmin], "named once");
        assert_eq!(of(&[&a, &file], 0), []);
        assert_eq!(of(&[&a, &b], 1 << 12), []);
        assert_eq!(of(&[], 0), []);
    }
}
