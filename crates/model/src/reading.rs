//! Five different answers to "what does the host say here?".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was read, or the reason why nothing was.
///
/// Absent, denied, unsupported, garbled and zero are five different answers: a zero is `Value(0)`. Each of the other
/// four carries one sentence for people: what was asked, and why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// The value, as the host gave it.
    Value(T),
    /// There is no such thing on this host (`ENOENT`, `ENODEV`).
    Absent(String),
    /// It is there, and this user may not see it (`EACCES`, `EPERM`).
    Denied(String),
    /// The kernel or the driver does not offer it (`EOPNOTSUPP`, an old kernel).
    Unsupported(String),
    /// It was read and is not what its documentation says; carries the offending text.
    Garbled(String),
}

impl<T> Reading<T> {
    /// What a document of an older version says of a fact that it did not have yet.
    pub fn unrecorded() -> Self {
        Self::Absent("the lowlat that wrote this document did not read it".to_owned())
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(v) => Some(v),
            _ => None,
        }
    }

    /// The value, owned, if there is one.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(v) => Some(v),
            _ => None,
        }
    }

    /// The kind of answer and its reason, if there is no value: `("denied", "…")`.
    pub fn why_not(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Value(_) => None,
            Self::Absent(w) => Some(("absent", w)),
            Self::Denied(w) => Some(("denied", w)),
            Self::Unsupported(w) => Some(("unsupported", w)),
            Self::Garbled(w) => Some(("garbled", w)),
        }
    }

    /// Maps the value and keeps the other four answers.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        self.and_then(|v| Reading::Value(f(v)))
    }

    /// Goes on with the value; the other four answers pass through.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Reading<U>) -> Reading<U> {
        match self {
            Self::Value(v) => f(v),
            Self::Absent(w) => Reading::Absent(w),
            Self::Denied(w) => Reading::Denied(w),
            Self::Unsupported(w) => Reading::Unsupported(w),
            Self::Garbled(w) => Reading::Garbled(w),
        }
    }

    /// A borrowed view.
    pub fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Value(v) => Reading::Value(v),
            Self::Absent(w) => Reading::Absent(w.clone()),
            Self::Denied(w) => Reading::Denied(w.clone()),
            Self::Unsupported(w) => Reading::Unsupported(w.clone()),
            Self::Garbled(w) => Reading::Garbled(w.clone()),
        }
    }
}

impl Reading<String> {
    /// Parses the trimmed text; text that does not parse is [`Reading::Garbled`] and named with `what`.
    pub fn parse<T: std::str::FromStr>(self, what: &str) -> Reading<T> {
        self.and_then(|text| match text.trim().parse() {
            Ok(v) => Reading::Value(v),
            Err(_) => Reading::Garbled(format!("{what}: {:?} does not parse", text.trim())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_value_and_garbage_is_not_zero() {
        assert_eq!(Reading::Value("0\n".to_owned()).parse::<u64>("x"), Reading::Value(0));
        assert_eq!(
            Reading::Value("zero".to_owned()).parse::<u64>("x"),
            Reading::Garbled("x: \"zero\" does not parse".to_owned())
        );
    }

    #[test]
    fn the_other_four_answers_pass_through() {
        let why = || "no".to_owned();
        let four: [Reading<u64>; 4] =
            [Reading::Absent(why()), Reading::Denied(why()), Reading::Unsupported(why()), Reading::Garbled(why())];
        for answer in four {
            assert_eq!(answer.clone().map(|v| v + 1), answer);
        }
    }
}
