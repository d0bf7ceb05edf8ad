//! What is fuzzed: one file per target, one entry in [`TARGETS`], one binary in `fuzz_targets/`, one folder in
//! `corpus/`.
//!
//! A target is a function over bytes that panics when something does not hold. Beside "never a panic" each checks what
//! its parser promises: that an answer is no longer than its question, that a keyed answer cannot be forged, that what
//! was written is read back.

// The command line's own reading of its config file: a binary has no library to import, so its files are taken
// unchanged.
#[path = "../../crates/cli/src/args.rs"]
#[allow(unreachable_pub, dead_code, clippy::pedantic)] // what the commands take from their arguments is not used here
mod args;
#[path = "../../crates/cli/src/config.rs"]
#[allow(unreachable_pub, clippy::pedantic)] // as above
mod cli_config;

pub mod captured;
pub mod captures;
pub mod cmsg;
pub mod collectors;
pub mod config;
pub mod datagrams;
pub mod exported;
pub mod facts;
pub mod icmp;
pub mod irtt;
pub mod journal;
pub mod netlink;
pub mod peers;
pub mod run_document;
pub mod sample_log;
pub mod streams;
pub mod trace;
pub mod watch;
pub mod words;
pub mod xdp;

/// A target's name and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    // Bytes of the network.
    ("peers", peers::run),
    ("irtt", irtt::run),
    ("icmp", icmp::run),
    ("datagrams", datagrams::run),
    ("streams", streams::run),
    ("xdp", xdp::run),
    // Bytes and text of the kernel.
    ("cmsg", cmsg::run),
    ("netlink", netlink::run),
    ("collectors", collectors::run),
    ("trace", trace::run),
    ("watch", watch::run),
    // Files and words of people.
    ("captures", captures::run),
    ("run_document", run_document::run),
    ("facts", facts::run),
    ("exported", exported::run),
    ("sample_log", sample_log::run),
    ("journal", journal::run),
    ("captured", captured::run),
    ("config", config::run),
    ("words", words::run),
];

/// Takes one byte off the front; 0 where there is none.
fn byte(data: &mut &[u8]) -> u8 {
    let Some((first, rest)) = data.split_first() else { return 0 };
    *data = rest;
    *first
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::TARGETS;

    /// Names of the entries of a folder next to the manifest.
    fn names(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = fs::read_dir(folder).expect("the folder is there");
        entries
            .map(|e| e.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn every_target_has_its_binary_and_its_corpus() {
        let want: BTreeSet<String> = TARGETS.iter().map(|t| t.0.to_owned()).collect();
        assert_eq!(names("fuzz_targets"), want);
        assert_eq!(names("corpus"), want);
    }

    #[test]
    fn the_kept_corpus_is_survived() {
        for (name, run) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
            let inputs: Vec<_> = fs::read_dir(folder).expect("a corpus").map(|e| e.expect("an entry").path()).collect();
            assert!(!inputs.is_empty(), "{name} has no corpus");
            for input in inputs {
                run(&fs::read(input).expect("an input"));
            }
        }
    }
}
