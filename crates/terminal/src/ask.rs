//! Started on a terminal with no arguments, lowlat asks for what it cannot read itself. Everything asked is
//! also a flag and a config key.

use std::io::{BufRead, IsTerminal, Write};

use lowlat_model::units::parse_duration_ns;

use lowlat_live::Failure;

/// Whether there is a person to ask.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// How often one question is asked before a wrong answer ends the program: whoever types is not a loop.
const TRIES: u32 = 3;

/// What is known of this host before the first question, and how an answer is judged.
pub struct HostChoices<'a> {
    /// `(name, words)` of what could be measured, likeliest first.
    pub interfaces: &'a [(String, String)],
    /// Whether an interface of the list can be used.
    pub usable: &'a dyn Fn(&str) -> Result<(), Failure>,
    /// Whether a target can be one, over that interface; sends nothing.
    pub leads: &'a dyn Fn(&str, &str) -> Result<(), Failure>,
    /// Whether this user may change the host.
    pub may_change: bool,
}

/// Asks, and returns the arguments of `lowlat optimize` that the answers amount to. A wrong answer is reported and
/// asked for again.
pub fn questions(
    known: &HostChoices<'_>,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<Vec<String>, Failure> {
    let mut talk = Talk { input, output };
    talk.say(
        "lowlat measures a network path and tunes this host for it. Press Enter to accept the value in [brackets].\n\n",
    )?;
    for (name, words) in known.interfaces {
        talk.say(&format!("  {name:<12} {words}\n"))?;
    }
    let first = known.interfaces.first().map_or("", |(n, _)| n.as_str());
    talk.say("\n")?;
    let iface = talk.ask(&format!("Interface [{first}]: "), first, &|name| {
        if !known.interfaces.iter().any(|(n, _)| n == name) {
            return Err(Failure::new(format!("use interface {name:?}: no such interface; choose one from the list")));
        }
        (known.usable)(name)
    })?;
    let target = talk.ask("Far end that runs `lowlat serve` (HOST or HOST:PORT): ", "", &|target| {
        if target.is_empty() {
            return Err(Failure::new("optimize: no target given; start `lowlat serve` on the far host and name it"));
        }
        (known.leads)(&iface, target)
    })?;
    let time = |what: &'static str| {
        move |text: &str| parse_duration_ns(text).map(drop).map_err(|e| Failure::new(format!("read the {what}: {e}")))
    };
    let goal = talk.ask("Latency goal: a median, or by quantile as in p99=100us,max=1ms [50us]: ", "50us", &goals)?;
    let present = talk.ask("Present latency, if you know it [unknown]: ", "unknown", &|text| match text {
        "unknown" => Ok(()),
        text => time("present latency")(text),
    })?;
    let mut args =
        vec!["optimize".to_owned(), format!("--iface={iface}"), format!("--target={target}"), format!("--goal={goal}")];
    if present != "unknown" {
        args.push(format!("--present={present}"));
    }
    if known.may_change {
        let try_it =
            "\nShow the plan only, or try it now? Every step is measured, and put back unless it helps. [plan/try]: ";
        let answer = talk.ask(try_it, "plan", &|text| match text {
            "plan" | "try" => Ok(()),
            other => Err(Failure::new(format!("answer {other:?}: expected plan or try"))),
        })?;
        if answer != "try" {
            args.push("--dry-run".to_owned());
        }
    } else {
        talk.say("\nYou are not root, so the plan is shown and nothing is tried.\n")?;
        args.push("--dry-run".to_owned());
    }
    let words: Vec<_> = args.iter().map(|a| lowlat_knobs::shell::quote(a)).collect();
    talk.say(&format!("\nThe same without questions: lowlat {}\n\n", words.join(" ")))?;
    Ok(args)
}

/// What `--goal` takes.
fn goals(text: &str) -> Result<(), Failure> {
    let goals: Result<Vec<_>, String> = text.split(',').map(str::parse).collect();
    let set = goals.and_then(|goals| lowlat_model::goal::check_goals(&goals));
    set.map(drop).map_err(|e| Failure::new(format!("read the goal: {e}")))
}

struct Talk<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
}

impl Talk<'_> {
    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.output
            .write_all(text.as_bytes())
            .and_then(|()| self.output.flush())
            .map_err(|e| Failure::new(format!("ask: {e}; use flags")))
    }

    /// Asks until the answer is one, at most [`TRIES`] times; the last refusal is the program's.
    fn ask(
        &mut self,
        question: &str,
        default: &str,
        check: &dyn Fn(&str) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        for left in (0..TRIES).rev() {
            self.say(question)?;
            let answer = self.answer(default)?;
            match check(&answer) {
                Ok(()) => return Ok(answer),
                Err(refusal) if left == 0 => return Err(refusal),
                Err(refusal) => self.say(&format!("  {refusal}\n"))?,
            }
        }
        Err(Failure::new("ask: no answer could be used; use flags"))
    }

    fn answer(&mut self, default: &str) -> Result<String, Failure> {
        let mut line = Vec::new();
        let n = self.input.read_until(b'\n', &mut line);
        let n = n.map_err(|e| Failure::new(format!("read the answer: {e}; use flags")))?;
        if n == 0 {
            // The question stands on the line.
            self.say("\n")?;
            return Err(Failure::new("read the answer: the terminal was closed; use flags"));
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        Ok(if line.is_empty() { default.to_owned() } else { line.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask_as(answers: &[u8], may_change: bool) -> (Result<Vec<String>, String>, String) {
        let interfaces = [("eth0".to_owned(), "virtio_net, up".to_owned()), ("lo".to_owned(), "loopback".to_owned())];
        let refuse = |is: bool, what: &str| if is { Err(Failure::new(what)) } else { Ok(()) };
        let known = HostChoices {
            interfaces: &interfaces,
            usable: &|name| refuse(name == "lo", "it is lo; no"),
            leads: &|iface, target| refuse(target == "nowhere", &format!("not over {iface}; no")),
            may_change,
        };
        let mut said = Vec::new();
        let args = questions(&known, &mut { answers }, &mut said).map_err(|e| e.to_string());
        (args, String::from_utf8_lossy(&said).into_owned())
    }

    fn ask(answers: &str) -> Result<Vec<String>, String> {
        ask_as(answers.as_bytes(), true).0
    }

    fn flags(all: &[&str]) -> Vec<String> {
        all.iter().map(|f| (*f).to_owned()).collect()
    }

    #[test]
    fn answers_become_flags() {
        let given = ["optimize", "--iface=eth0", "--target=10.0.0.2", "--goal=20us", "--present=1ms"];
        assert_eq!(ask("\n10.0.0.2\n20us\n1ms\ntry\n"), Ok(flags(&given)));
        let tail = ["optimize", "--iface=eth0", "--target=10.0.0.2", "--goal=20us,p99=1ms"];
        assert_eq!(ask("\n10.0.0.2\n20us,p99=1ms\n\ntry\n"), Ok(flags(&tail)));
        let kept = ["optimize", "--iface=eth0", "--target=10.0.0.2", "--goal=50us", "--dry-run"];
        assert_eq!(ask("\n10.0.0.2\n\n\n\n"), Ok(flags(&kept)));
        let (args, said) = ask_as(b"\n10.0.0.2\n\n\n", false);
        assert_eq!(args, Ok(flags(&kept)));
        assert!(said.contains("not root") && said.contains("lowlat optimize --iface=eth0"), "{said}");
    }

    #[test]
    fn a_wrong_answer_is_reported_and_asked_for_again() {
        let all = "nosuch0\nlo\neth0\n\nnowhere\n10.0.0.2\n50\np98=5us\n20us\nsoon\n1ms\nperhaps\ntry\n";
        let (args, said) = ask_as(all.as_bytes(), true);
        assert_eq!(
            args,
            Ok(flags(&["optimize", "--iface=eth0", "--target=10.0.0.2", "--goal=20us", "--present=1ms"])),
            "{said}"
        );
        for reported in ["nosuch0", "it is lo", "no target", "not over eth0", "no unit", "p98", "soon", "perhaps"] {
            assert!(said.contains(reported), "{reported}: {said}");
        }
        assert_eq!(said.matches("Interface [eth0]: ").count(), 3, "{said}");
    }

    #[test]
    fn the_third_wrong_answer_ends_it_and_so_does_the_end_of_the_input() {
        assert!(ask("a\nb\nc\n").is_err_and(|e| e.contains("\"c\"") && e.contains("choose one from the list")));
        assert!(ask("eth0\n").is_err_and(|e| e.contains("closed")));
        assert!(ask("eth0\nnowhere\n").is_err_and(|e| e.contains("closed")));
        let (args, said) = ask_as(b"\xff\xfe\n", true);
        assert!(args.is_err() && said.contains("no such interface"), "{said}");
    }
}
