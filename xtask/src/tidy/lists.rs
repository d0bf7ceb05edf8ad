//! One unit, one file, one list entry: what is set in a folder against what is set in its list.

use std::collections::BTreeMap;

use lowlat_collect::COLLECTORS;
use lowlat_families::FAMILIES;
use lowlat_knobs::KNOBS;
use lowlat_owners::OWNERS;
use lowlat_peers::PEERS;
use lowlat_rules::RULES;
use lowlat_transport::ENGINES;

use crate::tree::{Tree, is};

/// The far side and the engines' crates each have their list; this one is the command line's.
const ENGINE_NAMES: &str = "crates/live/src/path.rs";
const FAULTS: &str = "crates/lab/src/faults";

/// Files of `present` that are not unit are `helpers`; each of the others has one entry, and each entry one file.
fn compare(list: &str, present: &[String], helpers: &[&str], entries: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        *count.entry(entry).or_default() += 1;
    }
    for file in present {
        let helper = helpers.iter().any(|h| file.ends_with(h));
        match count.remove(file.as_str()) {
            None if !helper => wrong.push(format!("{file}: has no entry in {list}")),
            Some(n) if n > 1 => wrong.push(format!("{file}: has {n} entries in {list}, one file is one unit")),
            _ => {}
        }
    }
    wrong.extend(count.keys().map(|file| format!("{list}: an entry's file {file} is not there")));
    wrong
}

fn rust_files(tree: &Tree, folder: &str, deep: bool) -> Vec<String> {
    let inside = |path: &str| {
        path.strip_prefix(folder)
            .and_then(|p| p.strip_prefix('/'))
            .is_some_and(|p| is(p, "rs") && (deep || !p.contains('/')))
    };
    tree.files(inside).map(|(path, _)| path.to_owned()).collect()
}

fn stems<'a>(folder: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(|n| format!("{folder}/{}.rs", n.replace('-', "_"))).collect()
}

/// The faults in the order of planting: the lab's list is code, so it is read as text.
fn faults(tree: &Tree) -> Vec<String> {
    let text = tree.text(&format!("{FAULTS}/mod.rs")).unwrap_or_default();
    let names = text.lines().filter_map(|l| Some(l.trim().strip_prefix("Box::new(")?.split_once("::")?.0));
    stems(FAULTS, names)
}

/// A setting that the catalogue knows is one that the facts show.
fn unread_sysctls() -> Vec<String> {
    let keys = KNOBS.iter().filter_map(|k| k.meta.name.strip_prefix("sysctl."));
    let unread = keys.filter(|key| !lowlat_collect::SYSCTLS.contains(key));
    unread.map(|key| format!("crates/collect/src/sysctls.rs: {key} has a knob and is not read")).collect()
}

/// Every list.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let owned = |files: Vec<&str>| files.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let mut wrong = unread_sysctls();
    wrong.extend(compare(
        "KNOBS",
        &rust_files(tree, "crates/knobs/src", true),
        &["/mod.rs", "src/lib.rs", "src/tests.rs", "src/entry.rs", "src/resolve.rs", "src/value.rs"],
        &owned(KNOBS.iter().map(|k| k.meta.file).collect()),
    ));
    wrong.extend(compare(
        "RULES",
        &rust_files(tree, "crates/rules/src", true),
        &["src/lib.rs", "src/look.rs", "src/tests.rs", "src/view.rs"],
        &owned(RULES.iter().map(|r| r.meta().file).collect()),
    ));
    wrong.extend(compare(
        "COLLECTORS",
        &rust_files(tree, "crates/collect/src", true),
        &[
            "/mod.rs",
            "src/lib.rs",
            "src/tests.rs",
            "src/bypass.rs",
            "src/device.rs",
            "src/linuxptp.rs",
            "src/moment.rs",
            "src/site.rs",
            "src/text.rs",
            "application/calls.rs",
            "application/proc.rs",
            "application/tests.rs",
            "path/below.rs",
            "path/login.rs",
            "path/reach.rs",
            "path/tests.rs",
            "path/walk.rs",
        ],
        &owned(COLLECTORS.iter().map(|p| p.file).collect()),
    ));
    wrong.extend(compare(
        "FAMILIES",
        &rust_files(tree, "crates/families/src", true),
        &["src/lib.rs"],
        &owned(FAMILIES.iter().map(|f| f.file).collect()),
    ));
    wrong.extend(compare(
        "OWNERS",
        &rust_files(tree, "crates/owners/src", false),
        &["src/lib.rs", "src/files.rs", "src/glob.rs", "src/ini.rs", "src/link_match.rs", "src/tests.rs"],
        &owned(OWNERS.iter().map(|o| o.file()).collect()),
    ));
    wrong.extend(compare(
        "PEERS",
        &rust_files(tree, "crates/peers/src", false),
        &["src/lib.rs", "src/key.rs", "src/reflector.rs", "src/echoed.rs"],
        &stems("crates/peers/src", PEERS.iter().map(|p| p.name)),
    ));
    wrong.extend(compare(
        "ENGINES",
        &rust_files(tree, "crates/transport/src", false),
        &[
            "/lib.rs",
            "/clock.rs",
            "/cmsg.rs",
            "/closed_port.rs",
            "/connect.rs",
            "/neighbour.rs",
            "/gaps.rs",
            "/icmp.rs",
            "/os.rs",
            "/socket.rs",
            "/stamps.rs",
            "/thread.rs",
            "/zerocopy.rs",
        ],
        &stems("crates/transport/src", ENGINES.iter().map(|e| e.name)),
    ));
    wrong.extend(compare("faults::all", &rust_files(tree, FAULTS, false), &["/mod.rs"], &faults(tree)));
    wrong.extend(engine_names(tree));
    wrong
}

/// The command line's list of engines is written out, because it names crates: it must hold them all and no other.
fn engine_names(tree: &Tree) -> Vec<String> {
    let text = tree.text(ENGINE_NAMES).unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with("pub const ENGINES")).unwrap_or_default();
    let names = ENGINES.iter().map(|e| e.name).chain([
        lowlat_transport_uring::NAME,
        lowlat_transport_xdp::NAME,
        lowlat_transport_dpdk::NAME,
    ]);
    let want: Vec<String> = names.map(|n| format!("\"{n}\"")).collect();
    let mut wrong: Vec<String> =
        want.iter().filter(|n| !line.contains(*n)).map(|n| format!("{ENGINE_NAMES}: ENGINES has no {n}")).collect();
    if line.matches('"').count() != want.len() * 2 {
        wrong.push(format!("{ENGINE_NAMES}: ENGINES names other engines than there are crates and files for"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::proves;

    #[test]
    fn a_file_without_an_entry_is_named() {
        for file in [
            "crates/knobs/src/sysctl/new.rs",
            "crates/rules/src/new.rs",
            "crates/collect/src/counters/new.rs",
            "crates/families/src/new.rs",
            "crates/peers/src/new.rs",
            "crates/transport/src/new.rs",
            "crates/lab/src/faults/new.rs",
        ] {
            proves(check, |t| t.with(file, ""), &format!("{file}: has no entry"));
        }
    }

    #[test]
    fn an_entry_without_a_file_is_named() {
        for file in [
            "crates/knobs/src/sysctl/busy_read.rs",
            "crates/rules/src/eee_active.rs",
            "crates/collect/src/cpus.rs",
            "crates/peers/src/irtt.rs",
            "crates/transport/src/spin.rs",
            "crates/lab/src/faults/filter_chain.rs",
        ] {
            proves(check, |t| t.without(file), &format!("file {file} is not there"));
        }
    }

    #[test]
    fn two_entries_of_one_file_and_an_engine_nobody_can_choose_are_named() {
        let twice = compare("L", &["a.rs".to_owned()], &[], &["a.rs".to_owned(), "a.rs".to_owned()]);
        assert_eq!(twice, ["a.rs: has 2 entries in L, one file is one unit"]);
        let shorter = |t: &Tree| t.with(ENGINE_NAMES, &t.text(ENGINE_NAMES).unwrap().replace("\"epoll\", ", ""));
        proves(check, shorter, "ENGINES has no \"epoll\"");
    }
}
