//! The config file: TOML whose keys are the flags' names. Flags win over the file, the file over defaults.
//!
//! ```toml
//! iface = "eth0"
//! target = "10.0.0.2"
//! goal = "50us"
//! engine = "spin"
//! cpu = 3
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use lowlat_live::Failure;

/// Where the file is looked for when none is named.
const DEFAULT: &str = "/etc/lowlat.toml";

/// The commands whose flags may stand in the file, word by word.
const COMMANDS: &[&[&str]] = &[
    &["optimize"],
    &["around"],
    &["measure"],
    &["compare"],
    &["check"],
    &["facts"],
    &["plan"],
    &["serve"],
    &["bypass", "verdict"],
];
/// Stands in for the `target` of a command that takes it without a flag.
const CONFIGURED_TARGET: &str = "configured-target";

/// Reads the config file that the arguments name (or the default one) and puts its keys in as flags, before those that
/// the user gave. A key no command knows is refused: a misspelt safety setting must not be ignored.
pub fn merge(args: Vec<OsString>, command: &clap::Command) -> Result<Vec<OsString>, Failure> {
    let named = named_file(&args);
    let path = named.clone().unwrap_or_else(|| OsString::from(DEFAULT));
    let path = Path::new(&path);
    let named_command = COMMANDS.iter().find_map(|words| Some((command_at(&args, words)?, *words)));
    let (position, words) = (named_command.map(|(at, _)| at), named_command.map_or(&[] as &[&str], |(_, words)| words));
    // A file that is named is read whatever the command, so that a wrong name is never passed over.
    if position.is_none() && (named.is_none() || args.iter().any(|a| a == "--help" || a == "-h")) {
        return Ok(args);
    }
    let bytes = match lowlat_sys::store::read(path) {
        Ok(bytes) => bytes,
        Err(e) if named.is_some() => {
            return Err(Failure::because(e, "give a readable TOML file with --config"));
        }
        // The default file need not exist; if it exists and cannot be read, that is an error like any other.
        Err(e) if e.is_absent() => return Ok(args),
        Err(e) => return Err(Failure::because(e, "make it readable, or give another file with --config")),
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(format!("read config {}: it is not UTF-8 text; write TOML", path.display())))?;
    let table: BTreeMap<String, toml::Value> = toml::from_str(&text).map_err(|e| {
        Failure::new(format!("read config {}: {}; write keys as in `goal = \"50us\"`", path.display(), e.message()))
    })?;
    let name = words.join(" ");
    let known = |cmd: &clap::Command, key: &str| cmd.get_arguments().any(|a| a.get_long() == Some(key));
    let of = |words: &[&str]| words.iter().try_fold(command, |command, word| command.find_subcommand(word));
    let sub = of(words).filter(|_| position.is_some());
    let (mut flags, mut bare) = (Vec::new(), Vec::new());
    for (key, value) in &table {
        if !COMMANDS.iter().filter_map(|words| of(words)).any(|c| known(c, key)) {
            return Err(Failure::new(format!(
                "read config {}: there is no setting {key:?}; see `lowlat {} --help`",
                path.display(),
                if name.is_empty() { "optimize" } else { &name }
            )));
        }
        let (Some(position), Some(sub)) = (position, sub) else { continue };
        // Where the target is not a flag, the one on the command line may stand anywhere.
        let stands_in = key == "target" && known(sub, CONFIGURED_TARGET);
        let key = if stands_in { CONFIGURED_TARGET } else { key };
        let given = args[position..]
            .iter()
            .filter_map(|a| a.to_str())
            .any(|a| a.strip_prefix("--").is_some_and(|a| a == key || a.starts_with(&format!("{key}="))));
        let Some(arg) = sub.get_arguments().find(|a| a.get_long() == Some(key)).filter(|_| !given) else { continue };
        match value {
            toml::Value::Boolean(false) => {}
            toml::Value::Boolean(true) if !arg.get_action().takes_values() => {
                flags.push(OsString::from(format!("--{key}")));
            }
            // A flag whose value may be left out stands last, where no word of the user's is taken for its value.
            toml::Value::Boolean(true) if arg.get_num_args().is_some_and(|n| n.min_values() == 0) => {
                bare.push(OsString::from(format!("--{key}")));
            }
            toml::Value::Boolean(true) => {
                return Err(Failure::new(format!(
                    "read config {}: {key:?} needs a value, not true; write `{key} = \"…\"`",
                    path.display()
                )));
            }
            toml::Value::Array(items) => {
                for item in items {
                    flags.push(OsString::from(format!("--{key}={}", scalar(path, key, item)?)));
                }
            }
            other => flags.push(OsString::from(format!("--{key}={}", scalar(path, key, other)?))),
        }
    }
    let Some(position) = position else { return Ok(args) };
    let mut merged = args;
    let rest = merged.split_off(position + 1);
    merged.extend(flags);
    merged.extend(rest);
    merged.extend(bare);
    Ok(merged)
}

/// Where the last word of a command stands, if it is the command that the arguments name.
fn command_at(args: &[OsString], words: &[&str]) -> Option<usize> {
    words.iter().try_fold(0, |before, word| word_at(args, before + 1).filter(|at| args[*at] == *word))
}

/// Where the first word from `at` on stands that is neither a flag nor `--config`'s value.
fn word_at(args: &[OsString], mut at: usize) -> Option<usize> {
    while let Some(word) = args.get(at) {
        let word = word.to_string_lossy();
        if !word.starts_with('-') {
            return Some(at);
        }
        at += if word == "--config" { 2 } else { 1 };
    }
    None
}

fn named_file(args: &[OsString]) -> Option<OsString> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--config" {
            return args.next().cloned();
        }
        if let Some(file) = arg.to_str().and_then(|a| a.strip_prefix("--config=")) {
            return Some(OsString::from(file));
        }
    }
    None
}

fn scalar(path: &Path, key: &str, value: &toml::Value) -> Result<String, Failure> {
    match value {
        toml::Value::String(s) => Ok(s.clone()),
        toml::Value::Integer(n) => Ok(n.to_string()),
        toml::Value::Float(f) => Ok(f.to_string()),
        other => Err(Failure::new(format!(
            "read config {}: {key:?} is a {}; write a text, a number, true or false",
            path.display(),
            other.type_str()
        ))),
    }
}
