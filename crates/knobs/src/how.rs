//! The mechanics that knobs of one shape share: where a knob's places are, how its values are written, how it is kept
//! over a reboot. A knob's file is then its page and the choice of one of each.

use lowlat_model::op::{QdiscState, Target};
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{Sys, query};

use crate::cpulist::{parse_list, parse_mask, print_list, print_mask};
use crate::grub::{boot_file, boot_text, check_boot};
pub use crate::kind::SETTABLE;
use crate::kind::{decode_kind, encode_kind};
use crate::{Meta, Standing, shell};

/// Where a knob's places are.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// A sysctl by its dotted key; target `host`.
    Sysctl(&'static str),
    /// A file of `/sys/class/net/IF/`.
    NetFile(&'static str),
    /// Offload features; those that the device has and lets change are set together.
    Features(&'static [&'static str]),
    /// A coalescing parameter. Fixed microseconds need adaptive moderation of that direction off first.
    Coalesce(&'static str),
    /// A ring.
    Ring(&'static str),
    /// A channel count.
    Channels(&'static str),
    /// Pause parameters.
    Pause(&'static [&'static str]),
    /// Energy-efficient Ethernet.
    Eee,
    /// A private flag.
    PrivateFlag(&'static str),
    /// Hardware timestamping.
    HwTimestamp,
    /// A queue discipline's place.
    Qdisc,
    /// An interrupt's affinity.
    Irq,
    /// A file of `/sys/class/net/IF/queues/rx-N/`.
    RxFile(&'static str),
    /// A file of `/sys/class/net/IF/queues/tx-N/`.
    TxFile(&'static str),
    /// A metric of a route.
    RouteMetric(&'static str),
    /// The wake-up latency limit.
    DmaLatency,
    /// A file of `/sys/devices/system/cpu/cpuN/`.
    CpuFile(&'static str),
    /// A file of `/sys/devices/system/node/nodeN/`.
    NodeFile(&'static str),
    /// A file of `/sys` that is the whole host's, by its absolute path.
    HostFile(&'static str),
    /// A boot parameter, set by a drop-in of the boot loader.
    Boot(&'static str),
    /// Nowhere on this host that lowlat may write.
    Nowhere,
}

/// What a knob's values are.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// A whole number.
    Number(i64, i64),
    /// Three whole numbers, rising: minimum, default, maximum, in bytes.
    Triple,
    /// `on` or `off`, so in the place too.
    OnOff,
    /// `on` or `off`, `1` and `0` in the place.
    Switch,
    /// `on`, `tx` or `off`: `tx=1 rx=1` (HWTSTAMP_TX_ON, HWTSTAMP_FILTER_ALL, include/uapi/linux/net_tstamp.h), the first
    /// alone, or zeros.
    Stamps,
    /// A CPU list or `off`, a mask in the place.
    Mask,
    /// A CPU list.
    List,
    /// One of the words that the file beside it lists.
    OneOf(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A queue discipline's kind, `pfifo limit N`, or `default`.
    Kind,
    /// Microseconds or `none`.
    Limit,
    /// `n/a` (none may be slept in that has a latency), `0` (no limit) or microseconds.
    Resume,
    /// A boot parameter's value.
    BootText,
    /// No value: the knob is explained only.
    None,
}

/// One knob: its page, its place and its values.
#[derive(Debug)]
pub struct Knob {
    /// What is known of it.
    pub meta: Meta,
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
    /// Why lowlat does not set it; empty for those that act.
    pub refusal: &'static str,
}

type Answer<T> = Result<T, String>;

impl Knob {
    fn loci(&self, sys: &dyn Sys, target: &Target) -> Answer<Vec<Locus>> {
        let wrong = || format!("{} cannot be set at {target}", self.meta.name);
        let one = |locus| Ok(vec![locus]);
        let file = |path: String| Ok(vec![Locus::File { path }]);
        match (self.place, target) {
            (Place::Sysctl(key), Target::Host) => file(format!("/proc/sys/{}", key.replace('.', "/"))),
            (Place::HostFile(path), Target::Host) => file(path.to_owned()),
            (Place::NetFile(name), Target::Iface(i)) => file(format!("/sys/class/net/{i}/{name}")),
            (Place::RxFile(name), Target::RxQueue(i, n)) => file(format!("/sys/class/net/{i}/queues/rx-{n}/{name}")),
            (Place::TxFile(name), Target::TxQueue(i, n)) => file(format!("/sys/class/net/{i}/queues/tx-{n}/{name}")),
            (Place::CpuFile(name), Target::Cpu(n)) => {
                let n = if name.starts_with("cpufreq/") { policy_of(sys, *n) } else { *n };
                file(format!("/sys/devices/system/cpu/cpu{n}/{name}"))
            }
            (Place::NodeFile(name), Target::Node(n)) => file(format!("/sys/devices/system/node/node{n}/{name}")),
            (Place::Features(names), Target::Iface(i)) => {
                let have = query::features(sys, i);
                let Reading::Value(have) = &have else {
                    let (kind, why) = have.why_not().unwrap_or(("garbled", ""));
                    return Err(format!("the features of {i} are {kind}: {why}"));
                };
                let loci: Vec<Locus> = names
                    .iter()
                    .filter(|n| have.get(**n).is_some_and(|f| f.changeable))
                    .map(|n| Locus::Feature { iface: i.clone(), name: (*n).to_owned() })
                    .collect();
                if loci.is_empty() {
                    Err(format!("{i} has no feature {} that may be changed", names.join(", ")))
                } else {
                    Ok(loci)
                }
            }
            (Place::Coalesce(p), Target::Iface(i)) => one(Locus::Coalesce { iface: i.clone(), param: p.to_owned() }),
            (Place::Ring(p), Target::Iface(i)) => one(Locus::Ring { iface: i.clone(), param: p.to_owned() }),
            (Place::Channels(p), Target::Iface(i)) => one(Locus::Channels { iface: i.clone(), param: p.to_owned() }),
            (Place::Pause(ps), Target::Iface(i)) => {
                Ok(ps.iter().map(|p| Locus::Pause { iface: i.clone(), param: (*p).to_owned() }).collect())
            }
            (Place::Eee, Target::Iface(i)) => one(Locus::Eee { iface: i.clone() }),
            (Place::PrivateFlag(n), Target::Iface(i)) => {
                one(Locus::PrivateFlag { iface: i.clone(), name: n.to_owned() })
            }
            (Place::HwTimestamp, Target::Iface(i)) => one(Locus::HwTimestamp { iface: i.clone() }),
            (Place::Qdisc, Target::Qdisc(i, p)) => one(Locus::Qdisc { iface: i.clone(), parent: p.clone() }),
            (Place::RouteMetric(m), Target::Route(i, p)) => {
                one(Locus::RouteMetric { iface: i.clone(), prefix: p.clone(), metric: m.to_owned() })
            }
            (Place::Irq, Target::Irq(i, n)) => one(Locus::IrqAffinity { iface: i.clone(), index: *n }),
            (Place::DmaLatency, Target::Host) => one(Locus::CpuDmaLatency),
            (Place::Boot(p), Target::Host) => one(Locus::DropIn { path: boot_file(p) }),
            _ => Err(wrong()),
        }
    }

    /// The value as the places take it.
    fn encode(&self, sys: &dyn Sys, loci: &[Locus], want: &str) -> Answer<State> {
        let want = want.trim();
        let bad = |what: &str| format!("{want:?} is no value of {}: {what}", self.meta.name);
        let text = match self.value {
            Value::Number(min, max) => {
                let n: i64 = want.parse().map_err(|_| bad("it takes a whole number"))?;
                if !(min..=max).contains(&n) {
                    return Err(bad(&format!("it takes {min} to {max}")));
                }
                n.to_string()
            }
            Value::Triple => {
                let n: Vec<u64> = want
                    .split_whitespace()
                    .map(str::parse)
                    .collect::<Result<_, _>>()
                    .map_err(|_| bad("it takes three numbers of bytes"))?;
                let rising = |n: &[u64]| n.windows(2).all(|w| w[0] <= w[1]);
                if n.len() != 3 || n[0] == 0 || !rising(&n) || n[2] > i32::MAX as u64 {
                    return Err(bad("it takes three rising numbers of bytes, at most 2147483647"));
                }
                n.iter().map(ToString::to_string).collect::<Vec<_>>().join("\t")
            }
            Value::OnOff | Value::Switch | Value::Stamps => match (self.value, want) {
                (Value::OnOff, "on" | "off") => want.to_owned(),
                (Value::Switch, "on") => "1".to_owned(),
                (Value::Switch, "off") => "0".to_owned(),
                (Value::Stamps, "on") => "tx=1 rx=1".to_owned(),
                (Value::Stamps, "tx") => "tx=1 rx=0".to_owned(),
                (Value::Stamps, "off") => "tx=0 rx=0".to_owned(),
                (Value::Stamps, _) => return Err(bad("it takes on, tx or off")),
                _ => return Err(bad("it takes on or off")),
            },
            Value::Mask if want == "off" => "0".to_owned(),
            Value::Mask => print_mask(&parse_list(want)?),
            Value::List => print_list(&parse_list(want)?),
            Value::OneOf(beside) => {
                if want.is_empty() || !want.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                    return Err(bad("it takes one word"));
                }
                if let Some(Locus::File { path }) = loci.first()
                    && let Some((dir, _)) = path.rsplit_once('/')
                    && let Reading::Value(offered) = sys.read(&format!("{dir}/{beside}"))
                    && !offered.split_whitespace().any(|w| w == want)
                {
                    return Err(bad(&format!("this host offers {}", offered.trim())));
                }
                want.to_owned()
            }
            Value::Word(words) if words.contains(&want) => want.to_owned(),
            Value::Word(words) => return Err(bad(&format!("it takes {}", words.join(", ")))),
            Value::Limit if want == "none" => want.to_owned(),
            Value::Limit => {
                // A 32-bit signed number of microseconds (kernel/power/qos.c, cpu_latency_qos_write).
                want.parse::<u32>()
                    .ok()
                    .filter(|n| i32::try_from(*n).is_ok())
                    .ok_or_else(|| bad("it takes microseconds or none"))?
                    .to_string()
            }
            Value::Resume if want == "n/a" => want.to_owned(),
            Value::Resume => want
                .parse::<u32>()
                .ok()
                .filter(|n| i32::try_from(*n).is_ok())
                .ok_or_else(|| bad("it takes n/a, 0 or microseconds"))?
                .to_string(),
            Value::Kind => return encode_kind(want).map_err(|why| bad(&why)),
            Value::BootText => {
                let Place::Boot(parameter) = self.place else { return Err(bad("it has no boot parameter")) };
                check_boot(parameter, want).map_err(|why| bad(&why))?;
                boot_text(parameter, want)
            }
            Value::None => return Err(self.refusal.to_owned()),
        };
        Ok(State::Text(text))
    }

    /// The place's text as the knob's value.
    fn decode(&self, state: &State) -> Reading<String> {
        let text = match state {
            State::Qdisc(q) => return Reading::Value(decode_kind(q)),
            State::Nothing => return Reading::Value("none".to_owned()),
            State::Text(t) => t.trim(),
        };
        let garbled = |why: String| Reading::Garbled(format!("{}: {why}", self.meta.name));
        match (self.value, text) {
            (Value::Switch, "0") | (Value::Stamps, "tx=0 rx=0") => Reading::Value("off".to_owned()),
            (Value::Switch, _) | (Value::Stamps, "tx=1 rx=1") => Reading::Value("on".to_owned()),
            (Value::Stamps, "tx=1 rx=0") => Reading::Value("tx".to_owned()),
            (Value::Mask, mask) => match parse_mask(mask) {
                Ok(cpus) if cpus.is_empty() => Reading::Value("off".to_owned()),
                Ok(cpus) => Reading::Value(print_list(&cpus)),
                Err(why) => garbled(why),
            },
            (Value::Number(..) | Value::Triple, numbers) => {
                Reading::Value(numbers.split_whitespace().collect::<Vec<_>>().join(" "))
            }
            (_, other) => Reading::Value(other.to_owned()),
        }
    }
}

/// The first CPU of the frequency policy that holds this one: `cpuN/cpufreq` of all its CPUs is one folder
/// (drivers/cpufreq/cpufreq.c, `add_cpu_dev_symlink`), so that one write sets them all. The CPU itself where the policy
/// does not tell.
fn policy_of(sys: &dyn Sys, cpu: u32) -> u32 {
    let affected = sys.read(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/affected_cpus")).into_value();
    let affected: Vec<u32> =
        affected.iter().flat_map(|t| t.split_whitespace()).filter_map(|n| n.parse().ok()).collect();
    affected.iter().copied().filter(|_| affected.contains(&cpu)).min().unwrap_or(cpu)
}

fn numbered(sys: &dyn Sys, dir: &str, prefix: &str) -> Reading<Vec<u32>> {
    sys.list(dir).map(|names| {
        let mut n: Vec<u32> = names.iter().filter_map(|n| n.strip_prefix(prefix)?.parse().ok()).collect();
        n.sort_unstable();
        n
    })
}

fn ifaces(sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<String>> {
    match iface {
        Some(i) => Reading::Value(vec![i.to_owned()]),
        None => query::links(sys).map(|links| links.into_iter().map(|l| l.name).filter(|n| n != "lo").collect()),
    }
}

impl Knob {
    /// Where on this host it can be set. Empty means it is not here; the reading says why.
    pub fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        let candidates: Reading<Vec<Target>> = match self.place {
            Place::Sysctl(_) | Place::HostFile(_) | Place::DmaLatency | Place::Boot(_) => {
                Reading::Value(vec![Target::Host])
            }
            Place::Nowhere => return Reading::Unsupported(self.refusal.to_owned()),
            Place::CpuFile(_) => {
                numbered(sys, "/sys/devices/system/cpu", "cpu").map(|n| n.into_iter().map(Target::Cpu).collect())
            }
            Place::NodeFile(_) => {
                numbered(sys, "/sys/devices/system/node", "node").map(|n| n.into_iter().map(Target::Node).collect())
            }
            Place::Qdisc => query::qdiscs(sys).map(|all| {
                let wanted = all.into_iter().filter(|q| iface.is_none_or(|i| i == q.qdisc.iface));
                wanted
                    .filter(|q| !matches!(q.qdisc.parent.as_str(), "ingress" | "clsact"))
                    .map(|q| Target::Qdisc(q.qdisc.iface, q.qdisc.parent))
                    .collect()
            }),
            _ => ifaces(sys, iface).map(|names| names.into_iter().flat_map(|i| self.of_iface(sys, &i)).collect()),
        };
        candidates.and_then(|all| {
            let mut last = Reading::Absent(format!("{}: there is no place for it on this host", self.meta.name));
            let mut found = Vec::new();
            for target in all {
                match self.read(sys, &target) {
                    Reading::Value(_) => found.push(target),
                    other => last = other.map(|_| Vec::new()),
                }
            }
            if found.is_empty() { last } else { Reading::Value(found) }
        })
    }

    /// The value now, in the knob's text form.
    pub fn read(&self, sys: &dyn Sys, target: &Target) -> Reading<String> {
        if let Place::Boot(parameter) = self.place {
            // The last one on the line is the one that acts for most parameters, so it is the one shown.
            let key = format!("{parameter}=");
            return sys.read("/proc/cmdline").map(|line| {
                line.split_whitespace().rev().find_map(|w| w.strip_prefix(&key)).unwrap_or("none").to_owned()
            });
        }
        if matches!(self.place, Place::Nowhere) {
            return Reading::Unsupported(self.refusal.to_owned());
        }
        let loci = match self.loci(sys, target) {
            Ok(loci) => loci,
            Err(why) => return Reading::Unsupported(why),
        };
        let mut values: Vec<String> = Vec::new();
        for locus in &loci {
            match lowlat_sys::state(sys, locus).and_then(|s| self.decode(&s)) {
                Reading::Value(v) if values.last() == Some(&v) => {}
                Reading::Value(v) => values.push(v),
                other => return other,
            }
        }
        Reading::Value(values.join(","))
    }

    /// The writes that bring `target` to `value`, in order. A value that is none for this knob is refused with a
    /// sentence. Only [`Standing::Acts`] knobs give ops.
    pub fn ops(&self, sys: &dyn Sys, target: &Target, value: &str) -> Result<Vec<Op>, String> {
        if self.meta.standing != Standing::Acts {
            return Err(self.refusal.to_owned());
        }
        let loci = self.loci(sys, target)?;
        let set = self.encode(sys, &loci, value)?;
        if let (Place::Qdisc, Target::Qdisc(iface, parent)) = (self.place, target)
            && let Reading::Value(Some(why)) = lowlat_sys::qdisc_restorable(sys, iface, parent)
        {
            return Err(format!("what hangs at {target} could not be put back: {why}"));
        }
        let mut ops = Vec::new();
        if let (Place::Coalesce(param), Target::Iface(i)) = (self.place, target)
            && let Some(direction) = param.strip_suffix("-usecs")
        {
            // A driver that moderates adaptively overwrites a fixed value by itself (networking/net_dim.rst).
            let adaptive = Locus::Coalesce { iface: i.clone(), param: format!("adaptive-{direction}") };
            if lowlat_sys::state(sys, &adaptive) == Reading::Value(State::Text("1".to_owned())) {
                ops.push(Op::text(adaptive, "0"));
            }
        }
        if let (Place::Pause(_), Target::Iface(i)) = (self.place, target)
            && query::pause(sys, i).value().and_then(|p| p.get("autoneg")) == Some(&true)
        {
            // What was negotiated stays, whatever is asked, until the negotiation of pause is off (ethtool(8), `-A`;
            // drivers/net/ethernet/intel/igb/igb_ethtool.c, `igb_set_pauseparam`).
            ops.push(Op::text(Locus::Pause { iface: i.clone(), param: "autoneg".to_owned() }, "off"));
        }
        ops.extend(loci.into_iter().map(|locus| Op { locus, set: set.clone() }));
        Ok(ops)
    }

    /// Whether a write at this place can be one of this knob's for that target; asks no host.
    pub fn owns(&self, target: &Target, locus: &Locus) -> bool {
        if self.meta.standing != Standing::Acts {
            return false;
        }
        match (self.place, target, locus) {
            (Place::Features(names), Target::Iface(i), Locus::Feature { iface, name }) => {
                i == iface && names.contains(&name.as_str())
            }
            // Beside its own, what has to be off before it acts: see `ops`.
            (Place::Coalesce(own), Target::Iface(i), Locus::Coalesce { iface, param }) => {
                let adaptive = own.strip_suffix("-usecs").map(|direction| format!("adaptive-{direction}"));
                i == iface && (param == own || adaptive.as_ref() == Some(param))
            }
            (Place::Pause(own), Target::Iface(i), Locus::Pause { iface, param }) => {
                i == iface && (own.contains(&param.as_str()) || param == "autoneg")
            }
            // The file of the policy's first CPU: see `policy_of`.
            (Place::CpuFile(own), Target::Cpu(n), Locus::File { path }) if own.starts_with("cpufreq/") => {
                let first = path
                    .strip_prefix("/sys/devices/system/cpu/cpu")
                    .and_then(|p| p.strip_suffix(own)?.strip_suffix('/'));
                first.and_then(|f| f.parse::<u32>().ok().filter(|m| m.to_string() == f)).is_some_and(|m| m <= *n)
            }
            _ => self.loci(&Nothing, target).is_ok_and(|loci| loci.contains(locus)),
        }
    }

    /// The command that undoes it without lowlat.
    pub fn undo_by_hand(&self, target: &Target, was: &str) -> String {
        if let Place::Boot(p) = self.place {
            return format!("rm -f {} && update-grub", boot_file(p));
        }
        let (Place::Features(names), Target::Iface(i)) = (self.place, target) else {
            return self.undo_one(target, was);
        };
        // The wish is what is set, where it differs from what is in force.
        let wish = was.split_once(" [requested ").map_or(was, |(_, wish)| wish.trim_end_matches(']'));
        let words: Vec<String> = names.iter().map(|n| format!("{n} {wish}")).collect();
        format!("ethtool -K {} {}", shell::quote(i), words.join(" "))
    }
}

impl Knob {
    fn of_iface(&self, sys: &dyn Sys, iface: &str) -> Vec<Target> {
        let queues = |prefix: &str| {
            numbered(sys, &format!("/sys/class/net/{iface}/queues"), prefix).into_value().unwrap_or_default()
        };
        match self.place {
            Place::RxFile(_) => queues("rx-").into_iter().map(|n| Target::RxQueue(iface.to_owned(), n)).collect(),
            Place::TxFile(_) => queues("tx-").into_iter().map(|n| Target::TxQueue(iface.to_owned(), n)).collect(),
            Place::RouteMetric(_) => {
                let index = query::links(sys).into_value().unwrap_or_default().into_iter().find(|l| l.name == iface);
                let all = query::routes(sys).into_value().unwrap_or_default().into_iter();
                // The main table's (RT_TABLE_MAIN); those that cannot be set one by one the reading leaves out.
                let mine =
                    all.filter(|r| r.table == 254 && r.oif.is_some() && r.oif == index.as_ref().map(|l| l.index));
                mine.map(|r| Target::Route(iface.to_owned(), r.prefix)).collect()
            }
            Place::Irq => {
                let lines = lowlat_sys::irqs::of_interface(sys, iface).into_value().unwrap_or_default();
                (0..).zip(lines).map(|(n, _)| Target::Irq(iface.to_owned(), n)).collect()
            }
            _ => vec![Target::Iface(iface.to_owned())],
        }
    }

    fn undo_one(&self, target: &Target, was: &str) -> String {
        // Only the shape of the place is needed here, so no host is asked.
        let nowhere = Nothing;
        let Some(locus) = self.loci(&nowhere, target).ok().and_then(|l| l.into_iter().next()) else {
            return "nothing to undo".to_owned();
        };
        let state = if matches!(self.value, Value::Kind) {
            let (kind, options) = was.split_once(' ').unwrap_or((was, ""));
            State::Qdisc(QdiscState {
                kind: kind.to_owned(),
                handle: String::new(),
                options_hex: String::new(),
                summary: options.to_owned(),
                carries: Vec::new(),
            })
        } else {
            self.encode(&nowhere, &[], was).unwrap_or_else(|_| State::Text(was.to_owned()))
        };
        shell::restore(&locus, &state)
    }
}

/// A host that answers nothing.
struct Nothing;

impl Sys for Nothing {
    fn read(&self, path: &str) -> Reading<String> {
        Reading::Absent(path.to_owned())
    }
    fn list(&self, path: &str) -> Reading<Vec<String>> {
        Reading::Absent(path.to_owned())
    }
    fn link_target(&self, path: &str) -> Reading<String> {
        Reading::Absent(path.to_owned())
    }
    fn net(&self, query: &lowlat_sys::NetQuery) -> Reading<serde_json::Value> {
        Reading::Absent(query.name())
    }
    fn now_ns(&self) -> u64 {
        0
    }
    fn wait(&self, _: u64) {}
}
