//! Flags that take no effect together. What was asked for and would not be done is refused, never dropped.

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::args::{ModeArg, ProtoArg};
use lowlat_live::Failure;

/// Refuses flags of which one would make the other mean nothing. Those that never go together stand at the flags
/// themselves (`conflicts_with`); here are the ones for which it depends on a value.
pub fn check(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("measure", given)) => of_path("measure", given).and_then(|()| of_measure(given)),
        Some((name @ ("optimize" | "around"), given)) => of_path(name, given).and_then(|()| of_judge(name, given)),
        Some(("compare", given)) => of_path("compare", given),
        Some(("trace", given)) => of_path("trace", given).and_then(|()| of_trace(given)),
        _ => Ok(()),
    }
}

fn has(given: &ArgMatches, flag: &str) -> bool {
    given.try_contains_id(flag).is_ok() && given.value_source(flag) == Some(ValueSource::CommandLine)
}

fn refused(command: &str, flags: &str, why: &str, next: &str) -> Failure {
    Failure::new(format!("{command} with {flags}: {why}; {next}"))
}

fn of_path(command: &str, given: &ArgMatches) -> Result<(), Failure> {
    let proto = given.get_one::<ProtoArg>("proto");
    let icmp = proto == Some(&ProtoArg::Icmp);
    let none = given.get_one::<String>("peer").is_some_and(|p| p == lowlat_live::path::NO_PEER);
    if icmp && has(given, "peer") && !none {
        let why = "an echo request is answered by the far host's kernel, not by a program";
        return Err(refused(command, "--proto icmp and --peer", why, "leave out one of them"));
    }
    let link = matches!(proto, Some(ProtoArg::Arp | ProtoArg::Nd));
    if link && has(given, "peer") && !none {
        let why = "the far host's kernel answers requests of the link layer, not a program";
        return Err(refused(command, "--proto arp or nd and --peer", why, "leave out one of them"));
    }
    if link && given.try_get_one::<ModeArg>("mode").ok().flatten() == Some(&ModeArg::OpenLoop) {
        let why = "an answer names no probe, so one is on its way at a time";
        return Err(refused(command, "--proto arp or nd in open loop", why, "leave out --mode open-loop"));
    }
    Ok(())
}

/// Where the user's own metric judges, flags of rounds of probes mean nothing, and without a target those of probes.
fn of_judge(command: &str, given: &ArgMatches) -> Result<(), Failure> {
    const OF_ROUNDS: [&str; 2] = ["round", "load"];
    const OF_PROBES: [&str; 16] = [
        "goal",
        "present",
        "engine",
        "engines",
        "duration",
        "proto",
        "peer",
        "size",
        "cpu",
        "timeout",
        "dscp",
        "priority",
        "key_file",
        "busy_poll",
        "dpdk_port",
        "dpdk_address",
    ];
    let Some(judge) = ["judge", "judge_histogram", "judge_live"].into_iter().find(|flag| has(given, flag)) else {
        return Ok(());
    };
    let judge = format!("--{}", judge.replace('_', "-"));
    let named =
        |flags: &[&'static str]| flags.iter().find(|f| has(given, f)).map(|f| format!("--{}", f.replace('_', "-")));
    if let Some(flag) = named(&OF_ROUNDS) {
        let why = "one figure of it is one round, with nothing next to it";
        return Err(refused(command, &format!("{judge} and {flag}"), why, &format!("leave out {flag}")));
    }
    if let Some(flag) = named(&OF_PROBES).filter(|_| !has(given, "target")) {
        let why = "nothing is probed without a far end";
        return Err(refused(
            command,
            &format!("{flag} and {judge} alone"),
            why,
            &format!("add --target HOST, or leave out {flag}"),
        ));
    }
    Ok(())
}

fn of_trace(given: &ArgMatches) -> Result<(), Failure> {
    let of_a_probe = ["proto", "peer", "size", "cpu", "timeout", "dscp", "priority", "key_file", "busy_poll"];
    match of_a_probe.into_iter().find(|flag| has(given, "answers") && has(given, flag)) {
        Some(flag) => {
            let flag = flag.replace('_', "-");
            let why = "the program that answers is traced, and nothing is sent to it";
            Err(refused("trace", &format!("--answers and --{flag}"), why, &format!("leave out --{flag}")))
        }
        None => Ok(()),
    }
}

fn of_measure(given: &ArgMatches) -> Result<(), Failure> {
    let no = |flags: &str, why: &str, next: &str| Err(refused("measure", flags, why, next));
    if has(given, "zerocopy")
        && let Some(flag) = ["engine", "mode", "pattern", "proto", "peer", "size"].into_iter().find(|f| has(given, f))
    {
        let why = "sends of each size go to the sink of a `lowlat serve`, in each way that the kernel has";
        return no(&format!("--zerocopy and --{flag}"), why, &format!("leave out --{flag}"));
    }
    let several = given.get_one::<String>("engine").is_some_and(|e| lowlat_live::engines::listed(e).is_some());
    let of_one = ["shape", "sweep", "mode", "rate", "count", "warmup", "goal", "rt", "stamps", "stamp_cost", "log"];
    if several && let Some(flag) = of_one.into_iter().find(|f| has(given, f)) {
        let flag = format!("--{}", flag.replace('_', "-"));
        let why = "several engines are compared in short rounds of ping-pong and planned sends";
        return no(&format!("{flag} and several engines"), why, &format!("leave out {flag}, or name one --engine"));
    }
    if let Some(text) = given.get_one::<String>("sweep") {
        let axis = text.split('=').next().unwrap_or_default();
        if axis == "size" && has(given, "size") {
            return no("--sweep size= and --size", "the sweep names the sizes", "leave out --size");
        }
        let flag = ["rate", "mode"].into_iter().find(|f| has(given, f));
        if let Some(flag) = flag.filter(|_| matches!(axis, "rate" | "interval")) {
            let why = "the sweep says when probes leave";
            return no(&format!("--sweep {axis}= and --{flag}"), why, &format!("leave out --{flag}"));
        }
        if axis == "rate" {
            return Ok(());
        }
    }
    if has(given, "pattern") && given.get_one::<ModeArg>("mode") != Some(&ModeArg::OpenLoop) {
        let why = "in ping-pong the next probe waits for the last answer, so there is no pattern";
        return no("--pattern", why, "add --mode open-loop, or leave out --pattern");
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may end by panic
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    fn checked(line: &str) -> Result<(), String> {
        let words = std::iter::once("lowlat").chain(line.split_whitespace());
        check(&Cli::command().try_get_matches_from(words).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_would_mean_nothing_is_refused_and_what_means_something_is_not() {
        for line in [
            "measure h --proto icmp --peer lowlat",
            "measure h --proto arp --peer lowlat",
            "measure h --proto nd --mode open-loop --rate 5",
            "optimize --proto icmp --peer stamp",
            "compare a b --proto icmp --peer stamp",
            "measure h --pattern poisson",
            "measure h --sweep interval=1ms --pattern poisson",
            "measure h --sweep interval=1ms --rate 5",
            "measure h --sweep rate=5,6 --mode open-loop",
            "measure h --sweep size=64,128 --size 64",
            "measure h --zerocopy --engine spin",
            "measure h --zerocopy=4096 --proto tcp",
            "measure h --engine all --count 5",
            "measure h --engine block,spin --shape f",
            "measure h --engine block,spin --stamps",
            "optimize --judge x --load 2",
            "optimize --judge-live port=7 --round 20ms",
            "around --iface e --judge-histogram f --goal 50us -- true",
            "optimize --judge x --target h --round 20ms",
            "optimize --judge x --goal 50us",
            "optimize --judge x --engines none",
            "optimize --judge x --proto icmp",
            "around --iface e --judge x --goal 50us -- true",
            "trace --answers 8620 --cpu 3",
        ] {
            assert!(checked(line).is_err_and(|e| e.contains("; ")), "{line}");
        }
        for line in [
            "trace h --cpu 3 --far -",
            "trace --answers 8620 --duration 2s",
            "measure h",
            "measure h --proto icmp",
            "measure h --proto icmp --peer none",
            "measure h --peer stamp",
            "measure h --mode open-loop --rate 5 --pattern poisson",
            "measure h --sweep rate=5,6 --pattern poisson",
            "measure h --sweep size=64,128 --mode open-loop --rate 100",
            "measure h --zerocopy",
            "measure h --zerocopy=4096,65536 --cpu 1 --duration 2s",
            "measure h --engine all --duration 1s --load",
            "optimize --judge x --higher-is-better --pairs 8 --worth 5% --dry-run",
            "optimize --judge x --target h --goal 50us --engines none --duration 1s",
            "around --iface e --judge x --keep none -- sysctl -w a=b",
            "around --iface e --judge-live pid=7,port=8 --judge-round 2s -- true",
            "optimize --judge-histogram f --judge-metric a{b=\"c\"} --judge-quantile p50 --judge-timeout 9s",
            "around --iface e --target h --goal 50us -- true",
            "status",
        ] {
            assert_eq!(checked(line), Ok(()), "{line}");
        }
    }
}
