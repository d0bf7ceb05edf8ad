//! Undo without lowlat: one shell command for each kind of place.

use lowlat_model::{Locus, State};

/// The command that puts `state` at `locus`. Runs in a POSIX shell as root; `ethtool` and `tc` where they are needed.
pub fn restore(locus: &Locus, state: &State) -> String {
    let text = state.to_string();
    let q = |t: &str| quote(t);
    match locus {
        Locus::File { path } => format!("printf '%s\\n' {} > {}", q(&text), q(path)),
        // The wish is what is set, where it differs from what is in force.
        Locus::Feature { iface, name } => {
            let wish = text.split_once(" [requested ").map_or(text.as_str(), |(_, wish)| wish.trim_end_matches(']'));
            format!("ethtool -K {} {} {}", q(iface), q(name), q(wish))
        }
        Locus::Coalesce { iface, param } => format!("ethtool -C {} {}", q(iface), coalesce_words(param, &text)),
        Locus::Ring { iface, param } => format!("ethtool -G {} {} {}", q(iface), q(param), q(&text)),
        Locus::Channels { iface, param } => format!("ethtool -L {} {} {}", q(iface), q(param), q(&text)),
        Locus::Pause { iface, param } => format!("ethtool -A {} {} {}", q(iface), q(param), q(&text)),
        Locus::Eee { iface } => format!("ethtool --set-eee {} eee {}", q(iface), q(&text)),
        Locus::PrivateFlag { iface, name } => format!("ethtool --set-priv-flags {} {} {}", q(iface), q(name), q(&text)),
        Locus::HwTimestamp { iface } => {
            let field = |key: &str| text.split_whitespace().find_map(|w| w.strip_prefix(key)).unwrap_or("0").to_owned();
            format!("hwstamp_ctl -i {} -t {} -r {}", q(iface), q(&field("tx=")), q(&field("rx=")))
        }
        Locus::Qdisc { iface, parent } => {
            let place = if parent == "root" { "root".to_owned() } else { format!("parent {}", q(parent)) };
            match state {
                // Under a class, deleting would leave noop, which drops every packet.
                State::Qdisc(d) if d.handle != "0:" || parent.contains(':') => format!(
                    "tc qdisc replace dev {} {place} {} {}",
                    q(iface),
                    q(&d.kind),
                    tc_words(&d.kind, &d.summary)
                )
                .trim_end()
                .to_owned(),
                _ => format!("tc qdisc del dev {} {place}", q(iface)),
            }
        }
        // The n-th line of the device, as the tool counts them (`lowlat_sys::irqs`): only those that are requested, of the
        // PCI device below where the device is a virtio one, and by the interface's name where there is no MSI.
        Locus::IrqAffinity { iface, index } => format!(
            "d=/sys/class/net/{0}/device; case $(readlink \"$d\") in */virtio*) d=$d/..;; esac; \
             {{ ls \"$d/msi_irqs\" 2>/dev/null || sed -n {3} /proc/interrupts; }} | sort -n | \
             while read -r i; do grep -qs . /sys/kernel/irq/$i/actions && echo $i; done | sed -n {1}p | \
             {{ read -r i && printf '%s\\n' {2} > /proc/irq/$i/smp_affinity_list; }}",
            q(iface),
            index + 1,
            q(&text),
            // A name may hold what means something to the shell or to sed (net/core/dev.c, dev_valid_name).
            quote(&format!("s/^ *\\([0-9]*\\):.*[ ,]{}\\(,.*\\)*$/\\1/p", literal(iface)))
        ),
        // The whole route is sent again, as `ip` shows it, with the one word changed.
        Locus::RouteMetric { iface, prefix, metric } => {
            let (ip, word) =
                (if prefix.contains(':') { "ip -6" } else { "ip" }, if metric == "rto_min" { "ms" } else { "" });
            let set =
                if text == "0" { String::new() } else { format!(" {} {}", q(metric), q(&format!("{text}{word}"))) };
            format!(
                "{ip} route change $({ip} route show exact {0} dev {1} | sed {2}) dev {1}{set}",
                q(prefix),
                q(iface),
                quote(&format!("s/ {} \\(lock \\)*[^ ]*//; s/ linkdown//", literal(metric)))
            )
        }
        // No tool of the distributions sets it (ethtool 6.15; ynl is in the kernel's tree alone).
        Locus::Napi { iface, id, param } => {
            let words =
                format!("NAPI instance {id} of {iface}: {param} was {text}, which only lowlat rollback puts back");
            format!("{{ echo {} >&2; false; }}", q(&words))
        }
        Locus::Rss { iface } => {
            let words = format!("the RSS table of {iface} is put back by lowlat rollback alone");
            format!("{{ echo {} >&2; false; }}", q(&words))
        }
        // Which process it will be is not known before it runs; its journal's script names it.
        Locus::CpuDmaLatency => "lowlat rollback".to_owned(),
        Locus::DropIn { path } => match state {
            State::Text(t) => format!("printf '%s' {} > {}", q(t), q(path)),
            _ => format!("rm -f {}", q(path)),
        },
    }
}

/// The one command that puts several coalescing parameters of one interface back; `None` for fewer than two, and for
/// places that are none.
pub fn coalesce_at_once(places: &[(&Locus, &State)]) -> Option<String> {
    let words: Option<Vec<(&str, String)>> = places
        .iter()
        .map(|(locus, state)| match locus {
            Locus::Coalesce { iface, param } => Some((iface.as_str(), coalesce_words(param, &state.to_string()))),
            _ => None,
        })
        .collect();
    let words = words.filter(|w| w.len() > 1)?;
    let (iface, _) = words.first()?;
    if words.iter().any(|(other, _)| other != iface) {
        return None;
    }
    let all: Vec<&str> = words.iter().map(|(_, w)| w.as_str()).collect();
    Some(format!("ethtool -C {} {}", quote(iface), all.join(" ")))
}

/// A coalescing parameter as `ethtool -C` takes it.
fn coalesce_words(param: &str, text: &str) -> String {
    let value = match (param, text) {
        ("adaptive-rx" | "adaptive-tx", "0") => "off",
        ("adaptive-rx" | "adaptive-tx", "1") => "on",
        (_, other) => other,
    };
    format!("{} {}", quote(param), quote(value))
}

/// A text as one line of a comment.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text as a basic regular expression of `sed` that matches it alone.
fn literal(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.*[]^$/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A word for the shell, as itself where it holds nothing special.
pub fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-:=,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_discipline_is_told_as_tc_takes_it() {
        let at = |parent: &str, kind: &str, handle: &str, summary: &str| {
            let state = State::Qdisc(lowlat_model::op::QdiscState {
                kind: kind.into(),
                handle: handle.into(),
                options_hex: String::new(),
                summary: summary.into(),
                carries: Vec::new(),
            });
            restore(&Locus::Qdisc { iface: "eth0".into(), parent: parent.into() }, &state)
        };
        assert_eq!(
            at("root", "tbf", "20:", "burst 160b latency 1046016us limit 65536b rate 500Kbit"),
            "tc qdisc replace dev eth0 root tbf burst 160b limit 65536b rate 500Kbit"
        );
        assert_eq!(at("root", "pfifo_fast", "0:", ""), "tc qdisc del dev eth0 root");
        assert_eq!(at("1:1", "pfifo_fast", "0:", ""), "tc qdisc replace dev eth0 parent 1:1 pfifo_fast");
    }

    #[test]
    fn a_route_keeps_its_other_words() {
        let at = |prefix: &str, metric: &str| Locus::RouteMetric {
            iface: "eth0".into(),
            prefix: prefix.into(),
            metric: metric.into(),
        };
        assert_eq!(
            restore(&at("192.0.2.0/24", "quickack"), &State::Text("0".into())),
            "ip route change $(ip route show exact 192.0.2.0/24 dev eth0 | sed 's/ quickack \\(lock \\)*[^ ]*//; s/ linkdown//') dev eth0"
        );
        assert!(restore(&at("::/0", "rto_min"), &State::Text("50".into())).ends_with(" dev eth0 rto_min 50ms"));
    }

    #[test]
    fn nothing_escapes_the_quotes() {
        assert_eq!(quote("eth0"), "eth0");
        assert_eq!(quote("a'; rm -rf /"), "'a'\\''; rm -rf /'");
        let file = Locus::File { path: "/proc/sys/net/ipv4/tcp_rmem".into() };
        assert_eq!(
            restore(&file, &State::Text("4096\t1\t2".into())),
            "printf '%s\\n' '4096\t1\t2' > /proc/sys/net/ipv4/tcp_rmem"
        );
    }

    /// Names and values that a shell would act on, at every kind of place; nothing outside the shell can be run.
    #[test]
    fn no_name_and_no_value_is_a_command() {
        let dir = std::env::temp_dir().join(format!("lowlat-shell-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for bad in
            ["x;:>P;", "a'b;:>P;'c", "$(:>P)", "`:>P`", "x\n:>P\n#", "\";:>P;\"", "|:>P", "&:>P&", "-e s/x/y/w P"]
        {
            let (iface, param, path) = (bad.to_owned(), bad.to_owned(), format!("/nonexistent/{bad}"));
            let qdisc = State::Qdisc(lowlat_model::op::QdiscState {
                kind: bad.into(),
                handle: "1:".into(),
                options_hex: String::new(),
                summary: bad.into(),
                carries: Vec::new(),
            });
            let places = [
                Locus::File { path: path.clone() },
                Locus::Feature { iface: iface.clone(), name: bad.into() },
                Locus::Coalesce { iface: iface.clone(), param: param.clone() },
                Locus::Ring { iface: iface.clone(), param: param.clone() },
                Locus::Channels { iface: iface.clone(), param: param.clone() },
                Locus::Pause { iface: iface.clone(), param },
                Locus::Eee { iface: iface.clone() },
                Locus::PrivateFlag { iface: iface.clone(), name: bad.into() },
                Locus::HwTimestamp { iface: iface.clone() },
                Locus::Qdisc { iface: iface.clone(), parent: bad.into() },
                Locus::IrqAffinity { iface: iface.clone(), index: 0 },
                Locus::RouteMetric { iface, prefix: bad.into(), metric: bad.into() },
                Locus::DropIn { path },
            ];
            for locus in &places {
                for state in [&State::Text(bad.into()), &State::Text(format!("tx={bad} rx={bad}")), &qdisc] {
                    let script = format!("# {}\n{}", comment(bad), restore(locus, state));
                    let mut sh = std::process::Command::new("/bin/sh");
                    sh.args(["-c", &script]).current_dir(&dir).env("PATH", "/nonexistent");
                    sh.output().unwrap();
                    assert!(!dir.join("P").exists(), "{script}");
                }
            }
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
