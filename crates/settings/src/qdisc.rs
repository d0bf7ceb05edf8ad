//! Queue disciplines: what hangs at the root of an interface, or at a class.

use lowlat_model::op::{QdiscState, Target};
use lowlat_model::plan::Order;
use lowlat_model::{Locus, Op, Reading, State};
use lowlat_sys::{Sys, qdisc_restorable, query};

use crate::shell::quote;
use crate::{Kind, Place, Write, text};

/// A queue discipline's place.
#[derive(Debug)]
pub struct QueueDiscipline;

impl Place for QueueDiscipline {
    fn loci(&self, _: &dyn Sys, target: &Target) -> Result<Vec<Locus>, String> {
        let Target::Qdisc(iface, parent) = target else { return Ok(Vec::new()) };
        Ok(vec![Locus::Qdisc { iface: iface.clone(), parent: parent.clone() }])
    }
    fn targets(&self, sys: &dyn Sys, iface: Option<&str>) -> Reading<Vec<Target>> {
        query::qdiscs(sys).map(|all| {
            let wanted = all.into_iter().filter(|q| iface.is_none_or(|i| i == q.qdisc.iface));
            let is_hook = |parent: &str| matches!(parent, "ingress" | "clsact");
            wanted.filter(|q| !is_hook(&q.qdisc.parent)).map(|q| Target::Qdisc(q.qdisc.iface, q.qdisc.parent)).collect()
        })
    }
    fn first(&self, sys: &dyn Sys, target: &Target) -> Result<Vec<Op>, String> {
        match target {
            Target::Qdisc(iface, parent) => match qdisc_restorable(sys, iface, parent) {
                Reading::Value(Some(why)) => Err(format!("what hangs at {target} not restored: {why}")),
                _ => Ok(Vec::new()),
            },
            _ => Ok(Vec::new()),
        }
    }
    fn order(&self) -> Order {
        Order::Queues
    }
}

/// The queue disciplines that the kernel made for the queues of an interface, one of each queue that is in use. Made anew, as by deleting another root, those of queues that are not in use then are pfifo_fast whatever the default says,
/// and stay so when the queue comes back (`get_default_qdisc_ops`, include/net/sch_generic.h; `mq_init` and
/// `mq_change_real_num_tx`, net/sched/sch_mq.c). None where somebody chose the root.
pub fn of_queues(sys: &dyn Sys, iface: &str) -> Vec<Locus> {
    let all = query::qdiscs(sys).into_value().unwrap_or_default().into_iter();
    let mine = all.filter(|q| q.qdisc.iface == iface && made_by_kernel(&q.exact) && is_of_a_queue(&q.qdisc.parent));
    mine.map(|q| at(iface, &q.qdisc.parent)).collect()
}

fn at(iface: &str, parent: &str) -> Locus {
    Locus::Qdisc { iface: iface.to_owned(), parent: parent.to_owned() }
}

const ROOT: &str = "root";

/// A class of the root that the kernel made, which has no number: `0:3` is that of the third queue.
fn is_of_a_queue(parent: &str) -> bool {
    parent.strip_prefix(BY_KERNEL).is_some_and(|minor| !minor.is_empty())
}

/// What hangs at one place.
#[derive(Debug)]
pub(crate) struct At<'a> {
    pub(crate) iface: &'a str,
    pub(crate) parent: &'a str,
}

impl At<'_> {
    fn is_under_class(&self) -> bool {
        self.parent.contains(':')
    }
    /// A class without a number cannot be named, so where another kind hangs there the kernel makes all of them anew.
    fn make_anew(&self, kind: &str) -> String {
        let queue = crate::shell::literal(self.parent.trim_start_matches(BY_KERNEL));
        let there = quote(&format!("s/^qdisc \\([^ ]*\\) 0: parent :{queue} .*/\\1/p"));
        format!(
            "case $(tc qdisc show dev {0} | sed -n {there}) in '' | {1}) ;; \
             *) tc qdisc replace dev {0} root mq && tc qdisc del dev {0} root ;; esac",
            quote(self.iface),
            quote(kind)
        )
    }
}

impl Kind for At<'_> {
    fn words(&self) -> String {
        format!("qdisc {} of {}", self.parent, self.iface)
    }
    fn read(&self, sys: &dyn Sys) -> Reading<State> {
        let Self { iface, parent } = self;
        query::qdiscs(sys).and_then(|all| {
            match all.into_iter().find(|q| q.qdisc.iface == *iface && q.qdisc.parent == *parent) {
                Some(q) => Reading::Value(State::Qdisc(q.exact)),
                None => Reading::Absent(format!("nothing hangs at {iface} {parent}")),
            }
        })
    }
    fn write(&self, set: &State) -> Result<Write, String> {
        let State::Qdisc(state) = set else { return Err("the place does not take it".to_owned()) };
        Ok(Write::Qdisc { iface: self.iface.to_owned(), parent: self.parent.to_owned(), state: state.clone() })
    }
    fn shown(&self) -> Option<String> {
        Some(format!("tc qdisc show dev {}", quote(self.iface)))
    }
    fn undo(&self, was: &State) -> String {
        let place = if self.parent == ROOT { ROOT.to_owned() } else { format!("parent {}", quote(self.parent)) };
        match was {
            State::Qdisc(d) if is_of_a_queue(self.parent) => self.make_anew(&d.kind),
            // Under a class, deleting would leave noop, which drops every packet.
            State::Qdisc(d) if d.handle != BY_KERNEL || self.is_under_class() => format!(
                "tc qdisc replace dev {} {place} {} {}",
                quote(self.iface),
                quote(&d.kind),
                tc_words(&d.kind, &d.summary)
            )
            .trim_end()
            .to_owned(),
            _ => format!("tc qdisc del dev {} {place}", quote(self.iface)),
        }
    }
    /// The handle of a queue discipline that the kernel numbers on its own (8001:, 8002:, …) changes with each
    /// replacement, and the summary is for people; kind, option bytes and what hangs there are what acts.
    ///
    /// A wish has no dump yet: without a kind it is "what the kernel makes on its own" (handle 0:), without a handle it
    /// is the kind with its default options.
    fn same(&self, a: &State, b: &State) -> bool {
        let (State::Qdisc(a), State::Qdisc(b)) = (a, b) else { return text::same(a, b) };
        match (is_wish(a), is_wish(b)) {
            (false, false) => {
                // At the root the kernel's own comes back by deleting what replaced it. Under a class that would leave
                // noop, which drops all; there it is put back by its kind, and the kernel gives it a number.
                let place = self.is_under_class() || made_by_kernel(a) == made_by_kernel(b);
                a.kind == b.kind && a.options_hex == b.options_hex && place && numbered(a, b) && a.carries == b.carries
            }
            _ if a.kind.is_empty() || b.kind.is_empty() => made_by_kernel(a) && made_by_kernel(b),
            // A wish that names options means these.
            _ => a.kind == b.kind && (a.options_hex == b.options_hex || !limits(a, b)),
        }
    }
    fn refused(&self, sys: &dyn Sys, _: &State) -> Option<String> {
        match qdisc_restorable(sys, self.iface, self.parent) {
            Reading::Value(why) => why.map(|why| format!("what hangs there not restored: {why}")),
            other => Some(text::not_known("what hangs there", &other)),
        }
    }
    /// What hangs at a queue discipline of lowlat's was looked at with its state.
    fn looks_beside_again(&self) -> bool {
        is_of_a_queue(self.parent)
    }
    /// The root is made anew with it.
    fn beside(&self, _: &dyn Sys) -> Result<Vec<Locus>, String> {
        Ok(if is_of_a_queue(self.parent) { vec![at(self.iface, ROOT)] } else { Vec::new() })
    }
    fn may_change(&self, other: &Locus) -> bool {
        is_of_a_queue(self.parent) && *other == at(self.iface, ROOT)
    }
}

/// The handle of what the kernel made on its own.
const BY_KERNEL: &str = "0:";

fn made_by_kernel(q: &QdiscState) -> bool {
    q.handle == BY_KERNEL
}

fn is_wish(q: &QdiscState) -> bool {
    q.kind.is_empty() || q.handle.is_empty()
}

/// Whether the wish names options, which then have to be those of the dump.
fn limits(a: &QdiscState, b: &QdiscState) -> bool {
    [a, b].iter().any(|q| is_wish(q) && !q.options_hex.is_empty())
}

/// A low handle was chosen by somebody, who may name it again. The kernel numbers from 8000: up (`qdisc_alloc_handle`,
/// net/sched/sch_api.c), lowlat from 7fff: down (`lowlat_netlink::tc::put`).
fn numbered(a: &QdiscState, b: &QdiscState) -> bool {
    let number = |q: &QdiscState| u32::from_str_radix(q.handle.trim_end_matches(':'), 16).unwrap_or(0);
    let chosen = |q: &QdiscState| (1..0x7f00).contains(&number(q));
    (!chosen(a) && !chosen(b)) || a.handle == b.handle
}

/// The options as `tc` takes them. It shows more than it takes: of a tbf's limit and latency it takes one ("Double
/// limit/latency spec", iproute2 tc/q_tbf.c).
fn tc_words(kind: &str, summary: &str) -> String {
    let words: Vec<&str> = summary.split_whitespace().collect();
    let mut kept: Vec<String> = Vec::new();
    let mut rest = words.as_slice();
    while let [word, more @ ..] = rest {
        rest = more;
        if kind == "tbf" && *word == "latency" && words.contains(&"limit") {
            rest = more.get(1..).unwrap_or_default();
            continue;
        }
        kept.push(quote(word));
    }
    kept.join(" ")
}

/// Kinds that `qdisc.kind` may put in place: classless, acting with default options.
pub const SETTABLE: &[&str] = &["fq", "fq_codel", "codel", "pfifo_fast", "pfifo", "bfifo", "noqueue"];

/// Those of them whose options are one number, `struct tc_fifo_qopt` (include/uapi/linux/pkt_sched.h): the limit, in
/// packets for pfifo and in bytes for bfifo (net/sched/sch_fifo.c, `fifo_init` and `fifo_dump`).
const LIMITED: &[&str] = &["pfifo", "bfifo"];

/// The state that a value asks for; as text, why it is none.
pub fn encode(want: &str) -> Result<State, String> {
    let state = |kind: &str, handle: &str, limit: Option<u32>| {
        Ok(State::Qdisc(QdiscState {
            kind: kind.into(),
            handle: handle.into(),
            options_hex: limit.map_or_else(String::new, |n| lowlat_model::hex::text_of(&n.to_ne_bytes())),
            summary: limit.map_or_else(String::new, |n| format!("limit {n}")),
            carries: Vec::new(),
        }))
    };
    let words: Vec<&str> = want.split_whitespace().collect();
    match words.as_slice() {
        // What the kernel makes on its own has handle 0:, and deleting what is in its place brings it back.
        ["default"] => state("", BY_KERNEL, None),
        [kind] if SETTABLE.contains(kind) => state(kind, "", None),
        [kind, "limit", n] if LIMITED.contains(kind) => match n.parse::<u32>() {
            // A limit of 0 would drop every packet.
            Ok(n) if n > 0 => state(kind, "", Some(n)),
            _ => Err("a limit is a whole number from 1".to_owned()),
        },
        _ => Err(format!("it takes default, {}, or {} with `limit N`", SETTABLE.join(", "), LIMITED.join(" or "))),
    }
}

/// A discipline as `qdisc.kind` writes it: with its limit, where that is all it has.
pub fn decode(q: &QdiscState) -> String {
    match (LIMITED.contains(&q.kind.as_str()), limit_of(&q.options_hex)) {
        (true, Some(limit)) => format!("{} limit {limit}", q.kind),
        _ => q.kind.clone(),
    }
}

fn limit_of(options_hex: &str) -> Option<u32> {
    // Hexadecimal text is in memory order, as big-endian numbers are.
    let bytes = u32::from_str_radix(options_hex, 16).ok().filter(|_| options_hex.len() == 8)?;
    Some(u32::from_ne_bytes(bytes.to_be_bytes()))
}
