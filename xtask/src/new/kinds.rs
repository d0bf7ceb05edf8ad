//! The kinds of units: what each scaffold makes and where it enters it, as the walk of CONTRIBUTING.md says.

use super::edit::Edit;
use super::name::{Form, Name};

/// One file's part.
#[derive(Debug)]
pub(super) enum Change {
    /// A file out of a template.
    New(String, &'static str),
    /// A file that is there.
    Edited(String, Vec<Edit>),
}

/// One kind of unit.
pub(super) struct Kind {
    /// As `xtask new` takes it.
    pub(super) name: &'static str,
    /// The walk's heading.
    #[cfg_attr(not(test), allow(dead_code))] // the test's part of the table
    pub(super) walk: &'static str,
    /// What its names look like.
    pub(super) form: Form,
    /// Whether the catalogue has the name already.
    pub(super) taken: fn(&str) -> bool,
    /// The files.
    pub(super) changes: fn(&Name) -> Vec<Change>,
    /// What else is left to do besides filling in the marked places.
    pub(super) then: &'static str,
}

/// The kinds.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "rule",
        walk: "A rule",
        form: Form::Kebab,
        taken: |name| lowlat_rules::find(name).is_some(),
        changes: rule,
        then: "put its line of RULES where it belongs in the order of fixing",
    },
    Kind {
        name: "knob",
        walk: "A knob",
        form: Form::Knob,
        taken: |name| lowlat_knobs::find(name).is_some(),
        changes: knob,
        then: "put its line of KNOBS where it belongs in the reference",
    },
    Kind {
        name: "collector",
        walk: "A collector",
        form: Form::Snake,
        taken: |name| lowlat_collect::COLLECTORS.iter().any(|p| p.name == name),
        changes: collector,
        then: "give the fact its type in the three places that say u64 or 0",
    },
    Kind {
        name: "kind",
        walk: "A kind of setting",
        form: Form::Kebab,
        taken: |_| false,
        changes: kind,
        then: "give the variant what the journal has to know, and make its knob",
    },
    Kind {
        name: "peer",
        walk: "A far-end protocol",
        form: Form::Word,
        taken: |name| lowlat_peers::find(name).is_some(),
        changes: peer,
        then: "try it against the stock implementation",
    },
    Kind {
        name: "engine",
        walk: "An engine",
        form: Form::Kebab,
        taken: |name| lowlat_transport::ENGINES.iter().any(|e| e.name == name),
        changes: engine,
        then: "run the suites of the real far end as root",
    },
    Kind {
        name: "command",
        walk: "A command",
        form: Form::Word,
        taken: |_| false,
        changes: command,
        then: "give it its arguments",
    },
    Kind {
        name: "fuzz",
        walk: "A fuzz target",
        form: Form::Snake,
        taken: |_| false,
        changes: fuzz,
        then: "put its line of TARGETS where its bytes come from, and run `scripts/fuzz 10 NAME`",
    },
    Kind {
        name: "fault",
        walk: "A planted fault",
        form: Form::Kebab,
        taken: |_| false,
        changes: fault,
        then: "run the suites of the demo as root",
    },
    Kind {
        name: "family",
        walk: "A NIC family",
        form: Form::Kebab,
        taken: |name| lowlat_families::find(name).is_some(),
        changes: family,
        then: "name its drivers as `ethtool -i` does, and put its line of FAMILIES where it belongs in the reference",
    },
];

macro_rules! template {
    ($name:literal) => {
        template!($name, "rs")
    };
    ($name:literal, $extension:literal) => {
        include_str!(concat!("../../templates/", $name, ".", $extension))
    };
}

fn rule(n: &Name) -> Vec<Change> {
    vec![
        Change::New(format!("crates/rules/src/{}.rs", n.snake), template!("rule")),
        Change::Edited(
            "crates/rules/src/lib.rs".into(),
            vec![
                Edit::Module("", format!("mod {};", n.snake)),
                Edit::Entry("pub static RULES: &[&dyn Rule] = &[", format!("&{}::{}", n.snake, n.camel)),
            ],
        ),
        Change::Edited(
            "crates/rules/src/tests.rs".into(),
            vec![Edit::Before(
                "facts.cpus.isolated = Reading::Value(vec![3]);",
                format!("    // FILL IN: the fault of {}.", n.given),
            )],
        ),
    ]
}

fn knob(n: &Name) -> Vec<Change> {
    let sysctl = n.given.strip_prefix("sysctl.");
    let template = if sysctl.is_some() { template!("knob_sysctl") } else { template!("knob") };
    let mut changes = vec![
        Change::New(format!("crates/knobs/src/{}/{}.rs", n.family, n.snake), template),
        Change::Edited(
            format!("crates/knobs/src/{}/mod.rs", n.family),
            vec![
                Edit::Module("", format!("mod {};", n.snake)),
                Edit::Entry("pub(crate) const KNOBS: &[&Knob] = &[", format!("&{}::KNOB", n.snake)),
            ],
        ),
    ];
    if let Some(key) = sysctl {
        let keys = Edit::Entry("pub const KEYS: &[&str] = &[", format!("\"{key}\""));
        changes.push(Change::Edited("crates/collect/src/sysctls.rs".into(), vec![keys]));
    }
    changes
}

fn collector(n: &Name) -> Vec<Change> {
    let name = &n.snake;
    vec![
        Change::New(format!("crates/collect/src/{name}.rs"), template!("collector")),
        Change::Edited(
            "crates/collect/src/lib.rs".into(),
            vec![
                Edit::Module("", format!("mod {name};")),
                Edit::Entry("pub static COLLECTORS: &[&Collector] = &[", format!("&{name}::{}", n.shout)),
                Edit::Before("counters: Counters::default(),", format!("            {name}: {name}::read(&now),")),
            ],
        ),
        Change::Edited(
            "crates/model/src/facts.rs".into(),
            vec![
                Edit::Not(format!("    pub {name}: ")),
                Edit::Before(
                    "/// Counters at the (later) read.",
                    format!(
                        "    /// FILL IN: what it is, with its unit.\n    \
                         #[serde(default = \"Reading::<u64>::unrecorded\")]\n    pub {name}: Reading<u64>,"
                    ),
                ),
            ],
        ),
        Change::Edited(
            "crates/testkit/src/facts.rs".into(),
            vec![Edit::Before("counters: after.clone(),", format!("        {name}: Value(0),"))],
        ),
        Change::Edited(
            "crates/rules/src/view.rs".into(),
            vec![Edit::Before("counters: Counters::default(),", format!("        {name}: facts.{name}.clone(),"))],
        ),
    ]
}

fn kind(n: &Name) -> Vec<Change> {
    let (snake, camel) = (&n.snake, &n.camel);
    vec![
        Change::Edited(
            "crates/model/src/op.rs".into(),
            vec![
                Edit::Not(format!("\n    {camel} {{\n")),
                Edit::Not(format!("\n    {camel},\n")),
                Edit::Before(
                    "/// The wake-up latency limit, held by a process",
                    format!(
                        "    /// FILL IN: what it is, the kernel's request in back-ticks, and what its state is.\n    \
                         {camel} {{\n        /// Interface.\n        iface: String,\n    }},"
                    ),
                ),
                Edit::Before("| Self::Qdisc { $iface, .. }", format!("            | Self::{camel} {{ $iface }}")),
                Edit::Before(
                    r##"r#"{"at":"cpu-dma-latency"}"#,"##,
                    format!("            r#\"{{\"at\":\"{}\",\"iface\":\"eth0\"}}\"#,", n.given),
                ),
            ],
        ),
        Change::New(format!("crates/settings/src/{snake}.rs"), template!("kind")),
        Change::Edited(
            "crates/settings/src/lib.rs".into(),
            vec![
                Edit::Module("// The kinds.", format!("pub mod {snake};")),
                Edit::Before(
                    "Locus::CpuDmaLatency => ",
                    format!("        Locus::{camel} {{ iface }} => Box::new({snake}::At {{ iface }}),"),
                ),
            ],
        ),
        Change::Edited(
            "crates/settings/src/tests.rs".into(),
            vec![Edit::Before(
                "Locus::Rss { iface: iface.clone() },",
                format!("            Locus::{camel} {{ iface: iface.clone() }},"),
            )],
        ),
    ]
}

fn peer(n: &Name) -> Vec<Change> {
    vec![
        Change::New(format!("crates/peers/src/{}.rs", n.snake), template!("peer")),
        Change::Edited(
            "crates/peers/src/lib.rs".into(),
            vec![
                Edit::Module("", format!("pub mod {};", n.snake)),
                Edit::Entry("pub const PEERS: &[PeerEntry] = &[", format!("{}::ENTRY", n.snake)),
            ],
        ),
        Change::Edited("README.md".into(), vec![Edit::Within("| `measure` |", " |", format!(", {}", n.given))]),
    ]
}

fn engine(n: &Name) -> Vec<Change> {
    let (name, snake) = (&n.given, &n.snake);
    let entry = format!("EngineEntry {{ name: {snake}::NAME, costs: {snake}::COSTS, open: {snake}::open }}");
    vec![
        Change::New(format!("crates/transport/src/{snake}.rs"), template!("engine")),
        Change::Edited(
            "crates/transport/src/lib.rs".into(),
            vec![
                Edit::Module("", format!("pub mod {snake};")),
                Edit::Entry("pub const ENGINES: &[EngineEntry] = &[", entry),
            ],
        ),
        Change::Edited(
            "crates/live/src/path.rs".into(),
            vec![
                Edit::Not(format!("\"{name}\" => ")),
                Edit::Entry("pub const ENGINES: &[&str] = &[", format!("\"{name}\"")),
                Edit::Before(
                    "\"io-uring\" => include_str!",
                    format!("        \"{name}\" => include_str!(\"../../transport/src/{snake}.rs\"),"),
                ),
            ],
        ),
        Change::Edited(
            "crates/peers/tests/kernel_addressing.rs".into(),
            vec![Edit::Entry("const ENGINES: &[&str] = &[", format!("\"{name}\""))],
        ),
        Change::Edited("README.md".into(), vec![Edit::Within("| `measure` |", "; peers", format!(", `{name}`"))]),
    ]
}

fn command(n: &Name) -> Vec<Change> {
    let (name, camel) = (&n.snake, &n.camel);
    vec![
        Change::New(format!("crates/cli/src/commands/{name}.rs"), template!("command")),
        Change::Edited("crates/cli/src/commands/mod.rs".into(), vec![Edit::Module("", format!("pub mod {name};"))]),
        Change::Edited(
            "crates/cli/src/args.rs".into(),
            vec![
                Edit::Not(format!("\n    {camel}(")),
                Edit::Not(format!("\n    {camel},\n")),
                Edit::Before(
                    "/// Keeps /dev/cpu_dma_latency open",
                    format!("    /// FILL IN: what it does, in a line.\n    {camel}({camel}Args),"),
                ),
                Edit::Before(
                    "/// The names of all documents.",
                    format!(
                        "/// `{name}`.\n#[derive(Debug, Args)]\npub struct {camel}Args {{\n    /// FILL IN: what it is \
                         asked about.\n    pub name: String,\n}}\n"
                    ),
                ),
            ],
        ),
        Change::Edited(
            "crates/cli/src/main.rs".into(),
            vec![Edit::Before(
                "Command::HoldDmaLatency { us, pipe } =>",
                format!("        Command::{camel}(a) => commands::{name}::run(&a, json),"),
            )],
        ),
        Change::Edited(
            "README.md".into(),
            vec![Edit::After("| `report`, `schema` |", format!("| `{name}` | FILL IN |"))],
        ),
    ]
}

fn fuzz(n: &Name) -> Vec<Change> {
    let name = &n.snake;
    vec![
        Change::New(format!("fuzz/src/{name}.rs"), template!("fuzz")),
        Change::Edited(
            "fuzz/src/lib.rs".into(),
            vec![
                Edit::Module("\npub mod ", format!("pub mod {name};")),
                Edit::Entry("pub const TARGETS: &[Target] = &[", format!("(\"{name}\", {name}::run)")),
            ],
        ),
        Change::New(format!("fuzz/fuzz_targets/{name}.rs"), template!("fuzz_target")),
        Change::Edited(
            "fuzz/Cargo.toml".into(),
            vec![Edit::End(format!(
                "[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n"
            ))],
        ),
        Change::New(format!("fuzz/corpus/{name}/first"), template!("fuzz_input", "txt")),
    ]
}

fn fault(n: &Name) -> Vec<Change> {
    let (snake, camel) = (&n.snake, &n.camel);
    vec![
        Change::New(format!("crates/lab/src/faults/{snake}.rs"), template!("fault")),
        Change::Edited(
            "crates/lab/src/faults/mod.rs".into(),
            vec![
                Edit::Module("", format!("mod {snake};")),
                Edit::Entry("    vec![", format!("Box::new({snake}::{camel})")),
            ],
        ),
    ]
}

fn family(n: &Name) -> Vec<Change> {
    let snake = &n.snake;
    vec![
        Change::New(format!("crates/families/src/{snake}.rs"), template!("family")),
        Change::Edited(
            "crates/families/src/lib.rs".into(),
            vec![
                Edit::Module("", format!("mod {snake};")),
                Edit::Entry("pub static FAMILIES: &[&NicFamily] = &[", format!("&{snake}::FAMILY")),
            ],
        ),
    ]
}
