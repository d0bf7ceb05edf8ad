//! Item 6: what was kept survives a reboot.

use lowlat_model::document::ChecklistItem;

use super::item;
use crate::Input;

/// 6: every kept setting was written to a file that is read at boot.
pub(crate) fn persisted(input: &Input<'_>) -> ChecklistItem {
    let name = "settings persisted";
    let kept = input.kept().count();
    match (kept, input.persisted) {
        (0, _) => item(name, None, "nothing was kept, so there is nothing to persist"),
        (_, true) => item(name, Some(true), format!("{kept} kept and written for the next boot")),
        (_, false) => item(name, Some(false), format!("{kept} kept, live only; `lowlat persist` writes them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn nothing_kept_is_no_tick() {
        let mut run = sample::Run::good();
        run.persisted = false;
        assert_eq!(persisted(&run.input()).met, Some(false));
        run.steps.clear();
        assert_eq!(persisted(&run.input()).met, None);
    }
}
