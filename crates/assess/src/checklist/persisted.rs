//! Item 6: what was kept survives a reboot.

use lowlat_model::document::{ChecklistItem, item as id};

use super::item;
use crate::{Input, steps};

/// 6: every kept setting was written to a file that is read at boot.
pub(crate) fn persisted(input: &Input<'_>) -> ChecklistItem {
    let name = (id::PERSISTED, "settings persisted");
    let all = steps::kept(input);
    let kept = all.len();
    let (met, evidence) = match (kept, input.persisted) {
        _ if input.will_be_rolled_back => {
            (None, format!("{kept} kept and put back after the report, so there is nothing to persist"))
        }
        (0, _) => (None, "nothing was kept, so there is nothing to persist".to_owned()),
        (_, true) => (Some(true), format!("{kept} kept and written for the next boot")),
        (_, false) => (Some(false), format!("{kept} kept, live only; `lowlat persist` writes them")),
    };
    item(name, met, evidence, all.into_iter().map(|s| format!("run.steps[{} on {}]", s.knob, s.target)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn nothing_kept_is_not_a_tick() {
        let mut run = sample::Run::good();
        run.persisted = false;
        assert_eq!(persisted(&run.input()).met, Some(false));
        run.will_be_rolled_back = true;
        assert_eq!(persisted(&run.input()).met, None);
        run.will_be_rolled_back = false;
        run.steps.clear();
        assert_eq!(persisted(&run.input()).met, None);
    }
}
