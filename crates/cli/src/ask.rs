//! Row A1: started on a terminal with no arguments, lowlat asks for what it cannot read itself. Everything asked is
//! also a flag and a config key.

use std::io::{BufRead, IsTerminal, Write};

use lowlat_model::units::parse_duration_ns;

use crate::failure::Failure;

/// Whether there is a person to ask.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Asks, and returns the arguments of `lowlat optimize` that the answers amount to.
///
/// `interfaces` are `(name, words)` of what could be measured, likeliest first.
pub fn questions(
    interfaces: &[(String, String)],
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<Vec<String>, Failure> {
    let mut say = |text: &str| {
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush())
            .map_err(|e| Failure::new(format!("ask: {e}; use flags")))
    };
    say("lowlat measures a network path and tunes this host for it. Enter keeps what stands in [brackets].\n\n")?;
    for (name, words) in interfaces {
        say(&format!("  {name:<12} {words}\n"))?;
    }
    let first = interfaces.first().map_or("", |(n, _)| n.as_str());
    say(&format!("\nInterface [{first}]: "))?;
    let iface = answer(input, first)?;
    if !interfaces.iter().any(|(n, _)| *n == iface) {
        return Err(Failure::new(format!(
            "use interface {iface:?}: there is none here of that name; choose one of the list"
        )));
    }
    say("Target that runs `lowlat serve` (HOST or HOST:PORT): ")?;
    let target = answer(input, "")?;
    if target.is_empty() {
        return Err(Failure::new("optimize: no target was given; start `lowlat serve` on the far host and name it"));
    }
    say("Latency goal for the median round trip [50us]: ")?;
    let goal = answer(input, "50us")?;
    parse_duration_ns(&goal).map_err(|e| Failure::new(format!("read the goal: {e}")))?;
    say("Present latency, if you know it [unknown]: ")?;
    let present = answer(input, "")?;
    let mut args =
        vec!["optimize".to_owned(), format!("--iface={iface}"), format!("--target={target}"), format!("--goal={goal}")];
    if !present.is_empty() && present != "unknown" {
        parse_duration_ns(&present).map_err(|e| Failure::new(format!("read the present latency: {e}")))?;
        args.push(format!("--present={present}"));
    }
    say("\nShow the plan only, or try it now? Every step is measured, and put back unless it helps. [plan/try]: ")?;
    if answer(input, "plan")? != "try" {
        args.push("--dry-run".to_owned());
    }
    Ok(args)
}

fn answer(input: &mut dyn BufRead, default: &str) -> Result<String, Failure> {
    let mut line = String::new();
    let n = input.read_line(&mut line).map_err(|e| Failure::new(format!("read the answer: {e}; use flags")))?;
    if n == 0 {
        return Err(Failure::new("read the answer: the terminal was closed; use flags"));
    }
    let line = line.trim();
    Ok(if line.is_empty() { default.to_owned() } else { line.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(answers: &str) -> Result<Vec<String>, String> {
        let interfaces = [("eth0".to_owned(), "virtio_net, up".to_owned()), ("lo".to_owned(), "loopback".to_owned())];
        questions(&interfaces, &mut answers.as_bytes(), &mut Vec::new()).map_err(|e| e.to_string())
    }

    #[test]
    fn answers_become_flags() {
        assert_eq!(
            ask("\n10.0.0.2\n20us\n1ms\ntry\n"),
            Ok(["optimize", "--iface=eth0", "--target=10.0.0.2", "--goal=20us", "--present=1ms"]
                .map(str::to_owned)
                .to_vec())
        );
        assert_eq!(
            ask("lo\n10.0.0.2\n\n\n\n"),
            Ok(["optimize", "--iface=lo", "--target=10.0.0.2", "--goal=50us", "--dry-run"].map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn bad_answers_are_refused_at_once() {
        assert!(ask("eth9\n").is_err_and(|e| e.contains("eth9")));
        assert!(ask("eth0\n10.0.0.2\n50\n").is_err_and(|e| e.contains("no unit")));
        assert!(ask("eth0\n\n").is_err_and(|e| e.contains("no target")));
        assert!(ask("eth0\n").is_err());
    }
}
