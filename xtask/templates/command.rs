//! `lowlat new-unit`: FILL IN: what it does, in a few words.

use crate::args::NewUnitArgs;
use crate::output;
use lowlat_live::{Failure, Outcome};

/// Runs the command.
pub fn run(args: &NewUnitArgs, json: bool) -> Outcome {
    // FILL IN: the stages it calls. What they give is a document of `lowlat_model`, and `lowlat_report` puts it as
    // text.
    let text = words(args)?;
    if json {
        output::json(&text)?;
    } else {
        output::text(&text);
    }
    Ok(0)
}

fn words(args: &NewUnitArgs) -> Result<String, Failure> {
    Err(Failure::new(format!("FILL IN: operation, {:?}, cause; next step", args.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_its_work() {
        // FILL IN: what can be asked of it without a host; the rest in a suite of crates/cli/tests.
        let done = words(&NewUnitArgs { name: "x".into() });
        assert!(done.is_ok(), "FILL IN: it does nothing yet: {done:?}");
    }
}
