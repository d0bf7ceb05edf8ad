//! Names of units: what they look like, and what they are called in code.

use std::fmt::Write as _;

/// What a name looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `eee-active`.
    Kebab,
    /// `path_mtu`.
    Snake,
    /// `irtt`.
    Word,
    /// `FAMILY.NAME`: `nic.coalesce.rx-usecs`, `sysctl.net.core.busy_read`.
    Knob,
}

/// A name, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// As it was given.
    pub(super) given: String,
    /// Family of a knob; else empty.
    pub(super) family: String,
    /// File and module.
    pub(super) snake: String,
    /// Type.
    pub(super) camel: String,
    /// Static.
    pub(super) shout: String,
}

/// What no module can be called: <https://doc.rust-lang.org/reference/keywords.html> (strict, reserved, and 2018's).
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// A line of a list has to hold it twice.
const LONGEST: usize = 40;

impl Form {
    /// As text.
    fn words(self) -> &'static str {
        match self {
            Self::Kebab => "lower-case words with a dash between them, as eee-active",
            Self::Snake => "lower-case words with an underscore between them, as timesync",
            Self::Word => "one lower-case word, as irtt",
            Self::Knob => "FAMILY.NAME, as nic.ring.rx or sysctl.net.core.busy_read",
        }
    }

    /// Whether a name has the form.
    fn fits(self, name: &str) -> bool {
        let words = |text: &str, between: char| {
            text.split(between)
                .all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
        };
        match self {
            Self::Kebab => words(name, '-'),
            Self::Snake => words(name, '_'),
            Self::Word => words(name, ' ') && !name.contains(' '),
            Self::Knob => name.split_once('.').is_some_and(|(family, rest)| {
                // A sysctl keeps the kernel's spelling.
                let between = if family == "sysctl" { '_' } else { '-' };
                words(family, '.') && rest.split('.').all(|part| words(part, between))
            }),
        }
    }
}

impl Name {
    /// Takes a name; as text, why it is none.
    pub(super) fn new(form: Form, given: &str) -> Result<Self, String> {
        if !form.fits(given) {
            return Err(format!("it is not {}; choose such a name", form.words()));
        }
        if given.len() > LONGEST {
            return Err(format!("it has {} letters; choose one of {LONGEST} at most", given.len()));
        }
        let (family, rest) = if form == Form::Knob { given.split_once('.').unwrap_or_default() } else { ("", given) };
        // The file of a sysctl is its last part.
        let rest = if family == "sysctl" { rest.rsplit('.').next().unwrap_or(rest) } else { rest };
        let snake = rest.replace(['-', '.'], "_");
        if !snake.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err("its file would begin with a digit; choose a name that begins with a letter".to_owned());
        }
        if KEYWORDS.contains(&snake.as_str()) {
            return Err(format!("{snake} is a word of the language; choose another name"));
        }
        let mut camel = String::new();
        for word in snake.split('_') {
            let _ = write!(camel, "{}{}", word[..1].to_uppercase(), &word[1..]);
        }
        Ok(Self { given: given.to_owned(), family: family.to_owned(), shout: snake.to_uppercase(), snake, camel })
    }

    /// The template with this name in it; as text, why it cannot be.
    pub(super) fn fill(&self, template: &str) -> Result<String, String> {
        let used =
            template.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == self.camel || w == self.shout);
        if used {
            return Err(format!("{} is a type that the new file uses; choose another name", self.camel));
        }
        let key = self.given.strip_prefix("sysctl.").unwrap_or_default();
        let filled = template.replace("NewUnit", &self.camel).replace("NEW_UNIT", &self.shout);
        let filled = filled.replace("new_unit", &self.snake).replace("new-unit", &self.given);
        Ok(filled.replace("new.unit", &self.given).replace("new.key", key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_file_type_and_static() {
        let of = |form, name| Name::new(form, name).map(|n| (n.family, n.snake, n.camel, n.shout)).unwrap();
        let owned = |a: &str, b: &str, c: &str, d: &str| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned());
        assert_eq!(of(Form::Kebab, "eee-active"), owned("", "eee_active", "EeeActive", "EEE_ACTIVE"));
        assert_eq!(of(Form::Knob, "nic.ring.rx"), owned("nic", "ring_rx", "RingRx", "RING_RX"));
        assert_eq!(of(Form::Knob, "sysctl.net.core.busy_read"), owned("sysctl", "busy_read", "BusyRead", "BUSY_READ"));
        assert_eq!(of(Form::Word, "irtt2"), owned("", "irtt2", "Irtt2", "IRTT2"));
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_a_reason() {
        for (form, name, said) in [
            (Form::Kebab, "", "dash"),
            (Form::Kebab, "Eee", "dash"),
            (Form::Kebab, "eee_active", "dash"),
            (Form::Kebab, "eee--active", "dash"),
            (Form::Kebab, "-eee", "dash"),
            (Form::Kebab, "../eee", "dash"),
            (Form::Kebab, "eee/active", "dash"),
            (Form::Kebab, "é", "dash"),
            (Form::Kebab, "10-gbit", "digit"),
            (Form::Kebab, "loop", "word of the language"),
            (Form::Kebab, &"a".repeat(41), "at most"),
            (Form::Snake, "path-mtu", "underscore"),
            (Form::Word, "two words", "one lower-case word"),
            (Form::Word, "two-way", "one lower-case word"),
            (Form::Knob, "busy_read", "FAMILY.NAME"),
            (Form::Knob, "nic.", "FAMILY.NAME"),
            (Form::Knob, ".x", "FAMILY.NAME"),
            (Form::Knob, "nic.ring_rx", "FAMILY.NAME"),
            (Form::Knob, "nic/x.y", "FAMILY.NAME"),
        ] {
            let why = Name::new(form, name).unwrap_err();
            assert!(why.contains(said) && !why.contains('\n'), "{name:?}: {why}");
        }
        let input = Name::new(Form::Kebab, "input").unwrap();
        assert!(input.fill("use crate::{Input, Seen};").unwrap_err().contains("Input"));
    }
}
