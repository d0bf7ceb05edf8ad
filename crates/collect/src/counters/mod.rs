//! Counters, one file per source. The groups and their keys are listed at [`lowlat_model::Counters`].

pub(crate) mod aer;
pub(crate) mod cgroup;
pub(crate) mod conntrack;
pub(crate) mod firmware;
pub(crate) mod idle;
pub(crate) mod interrupts;
pub(crate) mod links;
pub(crate) mod memory;
pub(crate) mod neighbours;
pub(crate) mod pressure;
pub(crate) mod processors;
pub(crate) mod protocols;
pub(crate) mod scheduler;
pub(crate) mod softirq_threads;
pub(crate) mod softnet;
pub(crate) mod thermal;

use std::collections::BTreeMap;

use lowlat_model::{Counters, Reading};
use lowlat_sys::Sys;

/// Group name → its counters.
pub(crate) type Groups = BTreeMap<String, Reading<BTreeMap<String, u64>>>;

/// All counters at this moment.
pub(crate) fn read(sys: &dyn Sys) -> Counters {
    let at_ns = sys.now_ns();
    let mut groups = Groups::new();
    softnet::read(sys, &mut groups);
    protocols::read(sys, &mut groups);
    links::read(sys, &mut groups);
    interrupts::read(sys, &mut groups);
    processors::read(sys, &mut groups);
    idle::read(sys, &mut groups);
    memory::read(sys, &mut groups);
    thermal::read(sys, &mut groups);
    cgroup::read(sys, &mut groups);
    conntrack::read(sys, &mut groups);
    neighbours::read(sys, &mut groups);
    scheduler::read(sys, &mut groups);
    pressure::read(sys, &mut groups);
    aer::read(sys, &mut groups);
    softirq_threads::read(sys, &mut groups);
    firmware::read(sys, &mut groups);
    Counters { at_ns, groups: groups.into_iter().map(|(name, group)| (name, group.map(Into::into))).collect() }
}

/// Puts a table of groups in, each under `prefix`. Where the source gave none, the reason is at `prefix*`, so that
/// a search for the prefix still meets it.
fn put_table(groups: &mut Groups, prefix: &str, table: Reading<BTreeMap<String, BTreeMap<String, u64>>>) {
    match table {
        Reading::Value(table) => {
            groups.extend(
                table.into_iter().map(|(name, counters)| (format!("{prefix}{name}"), Reading::Value(counters))),
            );
        }
        other => {
            groups.insert(format!("{prefix}*"), other.map(|_| BTreeMap::new()));
        }
    }
}
