//! A block of lowlat's in a configuration file that belongs to others: merged, and removed exactly. Text alone.

/// The files that may hold one: what GRUB's own menu reads behind its entries, whenever it is shown (`/etc/grub.d/41_custom`).
pub const FILES: [&str; 2] = ["/boot/grub/custom.cfg", "/boot/grub2/custom.cfg"];

const BEGIN: &str = "### lowlat: what follows is removed by `lowlat persist --remove`";
const END: &str = "### lowlat: end\n";
/// What was before the block: whole lines or nothing; a last line without its end; no file at all.
const BEFORE: [(&str, Before); 3] = [
    (" ###\n", Before::Lines),
    (" (the line before had no end) ###\n", Before::Joined),
    (" (a new file) ###\n", Before::NoFile),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Lines,
    Joined,
    NoFile,
}

/// Whether a file is one that holds a block and not lowlat's text alone.
pub fn is_shared(path: &str) -> bool {
    FILES.contains(&path)
}

/// Where the block is: its beginning, its text, and its end.
fn find(file: &str) -> Option<(usize, Before, &str, usize)> {
    let mut from = 0;
    loop {
        let at = from + file.get(from..)?.find(BEGIN)?;
        from = at + BEGIN.len();
        let rest = &file[from..];
        let Some((mark, before)) = BEFORE.iter().find(|(mark, _)| rest.starts_with(mark)) else { continue };
        if at > 0 && !file[..at].ends_with('\n') {
            continue;
        }
        let text = &rest[mark.len()..];
        let length = text.find(END)?;
        return Some((at, *before, &text[..length], from + mark.len() + length + END.len()));
    }
}

/// The text of the block; `None` where there is none.
pub fn text_of(file: &str) -> Option<&str> {
    find(file).map(|(_, _, text, _)| text)
}

/// The file with a block of that text behind its own, in place of one that is there already. `None` is no file.
pub fn merged(file: Option<&str>, text: &str) -> String {
    let own = file.map(|f| without(f).unwrap_or_default());
    // An own block that began the file says itself whether there was one.
    let new = match (&own, file.and_then(find)) {
        (None, _) | (_, Some((_, Before::NoFile, ..))) => true,
        _ => false,
    };
    let own = own.unwrap_or_default();
    let before = match own.as_str() {
        "" if new => Before::NoFile,
        "" => Before::Lines,
        text if text.ends_with('\n') => Before::Lines,
        _ => Before::Joined,
    };
    let mark = BEFORE.iter().find(|(_, b)| *b == before).map_or("", |(mark, _)| mark);
    let joint = if before == Before::Joined { "\n" } else { "" };
    format!("{own}{joint}{BEGIN}{mark}{text}{END}")
}

/// The file without the block, byte for byte as it was; `None` where there was no file.
pub fn without(file: &str) -> Option<String> {
    let Some((at, before, _, end)) = find(file) else { return Some(file.to_owned()) };
    let head = &file[..at];
    let head = if before == Before::Joined { head.strip_suffix('\n').unwrap_or(head) } else { head };
    let rest = format!("{head}{}", &file[end..]);
    // What others wrote since into a file that lowlat made is theirs.
    (before != Before::NoFile || !rest.is_empty()).then_some(rest)
}

/// A shell's command that removes it.
pub(crate) fn removed_by_shell(path: &str) -> String {
    format!(
        "sed -i '/^### lowlat: what follows/,/^### lowlat: end$/d' {0}; [ -s {0} ] || rm -f {0}",
        crate::shell::quote(path)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_that_was_not_there_is_gone_again() {
        let merged = merged(None, "menuentry {\n}\n");
        assert_eq!(text_of(&merged), Some("menuentry {\n}\n"));
        assert_eq!(without(&merged), None);
        assert_eq!(without(&format!("{merged}set x=1\n")).as_deref(), Some("set x=1\n"), "another's line stays");
        assert_eq!(without(&super::merged(Some(""), "x\n")).as_deref(), Some(""), "an empty file is a file");
    }

    proptest! {
        #[test]
        fn merged_and_removed_it_is_what_it_was(file in "(?s)(.|\n){0,80}", text in "[ -~\n]{0,40}\n", other in "[ -~]{0,9}\n") {
            let one = merged(Some(&file), &text);
            prop_assert_eq!(text_of(&one), Some(text.as_str()));
            prop_assert!(one.starts_with(&file));
            let without_it = without(&one);
            prop_assert_eq!(without_it.as_deref(), Some(file.as_str()));
            // Another text takes the place of the first.
            prop_assert_eq!(merged(Some(&one), &other), merged(Some(&file), &other));
            // What another wrote behind it stays.
            let longer = without(&format!("{one}{other}"));
            prop_assert!(longer.unwrap().ends_with(&other));
        }
    }
}
