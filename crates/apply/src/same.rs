//! Whether two states are the same although their texts differ: the kernel prints some values in another form than it
//! takes them in.

use lowlat_model::op::QdiscState;
use lowlat_model::{Locus, State};

/// Equal in effect.
///
/// - runs of blanks are one blank (`tcp_rmem` prints tabs where blanks were written: `proc_dointvec` in
///   kernel/sysctl.c);
/// - CPU masks (`rps_cpus`, `xps_cpus`, `smp_affinity`) print zero-padded groups (`%*pb` in lib/vsprintf.c);
/// - CPU lists print ranges (`%*pbl`).
pub fn same(locus: &Locus, a: &State, b: &State) -> bool {
    if a == b {
        return true;
    }
    match (a, b) {
        (State::Text(a), State::Text(b)) => same_text(locus, a, b),
        // The handle of a queue discipline that the kernel numbers by itself (8001:, 8002:, …) changes with each
        // replacement, and the summary is for people; kind, option bytes and what hangs there are what acts.
        //
        // A wish has no dump yet: without a kind it is "what the kernel makes by itself" (handle 0:), without a handle
        // it is the kind with its default options.
        (State::Qdisc(a), State::Qdisc(b)) => match (wish(a), wish(b)) {
            (false, false) => {
                // At the root the kernel's own comes back by deleting what replaced it. Under a class that would leave
                // noop, which drops all; there it is put back by its kind, and the kernel gives it a number.
                let place = under_class(locus) || made_by_kernel(a) == made_by_kernel(b);
                a.kind == b.kind && a.options_hex == b.options_hex && place && numbered(a, b) && a.carries == b.carries
            }
            _ if a.kind.is_empty() || b.kind.is_empty() => made_by_kernel(a) && made_by_kernel(b),
            // A wish that names options means these.
            _ => a.kind == b.kind && (a.options_hex == b.options_hex || !limits(a, b)),
        },
        _ => false,
    }
}

fn under_class(locus: &Locus) -> bool {
    matches!(locus, Locus::Qdisc { parent, .. } if parent.contains(':'))
}

fn wish(q: &QdiscState) -> bool {
    q.kind.is_empty() || q.handle.is_empty()
}

/// Whether the wish names options, which then have to be those of the dump.
fn limits(a: &QdiscState, b: &QdiscState) -> bool {
    [a, b].iter().any(|q| wish(q) && !q.options_hex.is_empty())
}

/// A low handle was chosen by somebody, who may name it again. The kernel numbers from 8000: up (`qdisc_alloc_handle`,
/// net/sched/sch_api.c), lowlat from 7fff: down (`lowlat_netlink::tc::put`).
fn numbered(a: &QdiscState, b: &QdiscState) -> bool {
    let number = |q: &QdiscState| u32::from_str_radix(q.handle.trim_end_matches(':'), 16).unwrap_or(0);
    let chosen = |q: &QdiscState| (1..0x7f00).contains(&number(q));
    (!chosen(a) && !chosen(b)) || a.handle == b.handle
}

fn made_by_kernel(q: &QdiscState) -> bool {
    q.handle == "0:"
}

fn same_text(locus: &Locus, a: &str, b: &str) -> bool {
    match locus {
        // A file of ours is equal byte for byte or not at all.
        Locus::DropIn { .. } => false,
        Locus::IrqAffinity { .. } => same_list(a, b),
        Locus::File { path } if path.ends_with("_cpus") || path.ends_with("/smp_affinity") => mask(a) == mask(b),
        Locus::File { path } if path.ends_with("_list") => same_list(a, b),
        _ => a.split_whitespace().eq(b.split_whitespace()),
    }
}

fn same_list(a: &str, b: &str) -> bool {
    match (lowlat_knobs::cpulist::parse_list(a), lowlat_knobs::cpulist::parse_list(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.trim() == b.trim(),
    }
}

fn mask(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    digits.trim_start_matches('0').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, a: &str, b: &str) -> bool {
        same(&Locus::File { path: path.into() }, &State::Text(a.into()), &State::Text(b.into()))
    }

    #[test]
    fn forms_of_one_value() {
        assert!(file("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456", "4096 131072 6291456"));
        assert!(!file("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456", "4096 131072 629145"));
        assert!(file("/sys/class/net/e/queues/rx-0/rps_cpus", "00000000,00000003", "3"));
        assert!(!file("/sys/class/net/e/queues/rx-0/rps_cpus", "00000001,00000003", "3"));
        let irq = Locus::IrqAffinity { iface: "e".into(), index: 0 };
        assert!(same(&irq, &State::Text("0-1".into()), &State::Text("0,1".into())));
        let place = Locus::Qdisc { iface: "e".into(), parent: "root".into() };
        let fifo = |handle: &str, options: &str| {
            State::Qdisc(QdiscState {
                kind: "pfifo".into(),
                handle: handle.into(),
                options_hex: options.into(),
                summary: String::new(),
                carries: Vec::new(),
            })
        };
        assert!(same(&place, &fifo("8001:", "08000000"), &fifo("", "08000000")));
        assert!(!same(&place, &fifo("8001:", "e8030000"), &fifo("", "08000000")));
        assert!(same(&place, &fifo("8001:", "e8030000"), &fifo("", "")));
        // The kernel's own (0:) against the same kind with a number: under a class the same, at the root not.
        let class = Locus::Qdisc { iface: "e".into(), parent: "1:1".into() };
        assert!(same(&class, &fifo("0:", "08000000"), &fifo("8001:", "08000000")));
        assert!(!same(&place, &fifo("0:", "08000000"), &fifo("8001:", "08000000")));
        // A handle that somebody chose is part of it, and so is what hangs there.
        assert!(same(&place, &fifo("7fff:", "08000000"), &fifo("8001:", "08000000")));
        assert!(!same(&place, &fifo("5:", "08000000"), &fifo("8001:", "08000000")));
        let mut carrying = fifo("5:", "08000000");
        if let State::Qdisc(q) = &mut carrying {
            q.carries.push("a rate estimator".into());
        }
        assert!(!same(&place, &fifo("5:", "08000000"), &carrying));
        let dropin = Locus::DropIn { path: "/etc/x".into() };
        assert!(!same(&dropin, &State::Text("a b".into()), &State::Text("a  b".into())));
        assert!(!same(&dropin, &State::Text(String::new()), &State::Nothing));
    }
}
