//! The forms of values: as a person writes one, and as the places take it.

use lowlat_model::cpus::{parse_list, parse_mask, print_list, print_mask};
use lowlat_model::{Locus, Reading, State};
use lowlat_settings::qdisc;
use lowlat_sys::Sys;

/// What a knob's values are.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// A whole number.
    Number(i64, i64),
    /// Three whole numbers, rising: minimum, default, maximum, in bytes.
    Triple,
    /// `on` or `off`, so in the place too.
    OnOff,
    /// `on` or `off`, `1` and `0` in the place.
    Switch,
    /// `on` or `off`, `0` and `1` in the place, which says what is forbidden.
    Allowed,
    /// `on`, `tx` or `off`: `tx=1 rx=1` (HWTSTAMP_TX_ON, HWTSTAMP_FILTER_ALL, include/uapi/linux/net_tstamp.h), the
    /// first alone, or zeros.
    Stamps,
    /// A CPU list or `off`, a mask in the place.
    Mask,
    /// A CPU list.
    List,
    /// One of the words that the file next to it lists.
    OneOf(&'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Microseconds or `none`.
    Limit,
    /// `n/a` (none may be slept in that has a latency), `0` (no limit) or microseconds.
    Resume,
    /// A form that the kind alone knows.
    Own(fn(&str) -> Result<State, String>),
    /// No value: the knob is explained only.
    None,
}

impl Value {
    /// The value as the places take it; as text, why the knob of this name takes no such value.
    pub(crate) fn encode(self, knob: &str, sys: &dyn Sys, loci: &[Locus], want: &str) -> Result<State, String> {
        let want = want.trim();
        let bad = |what: &str| format!("{want:?} is not a value of {knob}: {what}");
        let text = match self {
            Self::Number(min, max) => {
                let n: i64 = want.parse().map_err(|_| bad("it takes a whole number"))?;
                if !(min..=max).contains(&n) {
                    return Err(bad(&format!("it takes {min} to {max}")));
                }
                n.to_string()
            }
            Self::Triple => triple(want).map_err(bad)?,
            Self::OnOff | Self::Switch | Self::Allowed | Self::Stamps => match (self, want) {
                (Self::OnOff, "on" | "off") => want.to_owned(),
                (Self::Switch, "on") | (Self::Allowed, "off") => "1".to_owned(),
                (Self::Switch, "off") | (Self::Allowed, "on") => "0".to_owned(),
                (Self::Stamps, "on") => "tx=1 rx=1".to_owned(),
                (Self::Stamps, "tx") => "tx=1 rx=0".to_owned(),
                (Self::Stamps, "off") => "tx=0 rx=0".to_owned(),
                (Self::Stamps, _) => return Err(bad("it takes on, tx or off")),
                _ => return Err(bad("it takes on or off")),
            },
            Self::Mask if want == "off" => "0".to_owned(),
            Self::Mask => print_mask(&parse_list(want)?),
            Self::List => print_list(&parse_list(want)?),
            Self::OneOf(beside) => one_of(sys, loci, beside, want).map_err(|why| bad(&why))?,
            Self::Word(words) if words.contains(&want) => want.to_owned(),
            Self::Word(words) => return Err(bad(&format!("it takes {}", words.join(", ")))),
            Self::Limit if want == "none" => want.to_owned(),
            Self::Limit => micros(want).ok_or_else(|| bad("it takes microseconds or none"))?,
            Self::Resume if want == "n/a" => want.to_owned(),
            Self::Resume => micros(want).ok_or_else(|| bad("it takes n/a, 0 or microseconds"))?,
            Self::Own(encode) => return encode(want).map_err(|why| bad(&why)),
            Self::None => return Err(format!("{knob} is explained only")),
        };
        Ok(State::Text(text))
    }

    /// The place's state as a value of the knob of this name.
    pub(crate) fn decode(self, knob: &str, state: &State) -> Reading<String> {
        let text = match state {
            State::Qdisc(q) => return Reading::Value(qdisc::decode(q)),
            State::Nothing => return Reading::Value("none".to_owned()),
            State::Text(t) => t.trim(),
        };
        let garbled = |why: String| Reading::Garbled(format!("{knob}: {why}"));
        match (self, text) {
            (Self::Allowed, "0") => Reading::Value("on".to_owned()),
            (Self::Switch, "0") | (Self::Allowed, _) | (Self::Stamps, "tx=0 rx=0") => Reading::Value("off".to_owned()),
            (Self::Switch, _) | (Self::Stamps, "tx=1 rx=1") => Reading::Value("on".to_owned()),
            (Self::Stamps, "tx=1 rx=0") => Reading::Value("tx".to_owned()),
            (Self::Mask, mask) => match parse_mask(mask) {
                Ok(cpus) if cpus.is_empty() => Reading::Value("off".to_owned()),
                Ok(cpus) => Reading::Value(print_list(&cpus)),
                Err(why) => garbled(why),
            },
            (Self::Number(..) | Self::Triple, numbers) => {
                Reading::Value(numbers.split_whitespace().collect::<Vec<_>>().join(" "))
            }
            (_, other) => Reading::Value(other.to_owned()),
        }
    }
}

fn triple(want: &str) -> Result<String, &'static str> {
    let n: Result<Vec<u64>, _> = want.split_whitespace().map(str::parse).collect();
    let n = n.map_err(|_| "it takes three numbers of bytes")?;
    let rising = |n: &[u64]| n.windows(2).all(|w| w[0] <= w[1]);
    if n.len() != 3 || n[0] == 0 || !rising(&n) || n[2] > i32::MAX as u64 {
        return Err("it takes three rising numbers of bytes, at most 2147483647");
    }
    Ok(n.iter().map(ToString::to_string).collect::<Vec<_>>().join("\t"))
}

/// A word that the file next to the place lists, where it does.
fn one_of(sys: &dyn Sys, loci: &[Locus], beside: &str, want: &str) -> Result<String, String> {
    if want.is_empty() || !want.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Err("it takes one word".to_owned());
    }
    if let Some(Locus::File { path }) = loci.first()
        && let Some((dir, _)) = path.rsplit_once('/')
        && let Reading::Value(offered) = sys.read(&format!("{dir}/{beside}"))
        && !offered.split_whitespace().any(|w| w == want)
    {
        return Err(format!("this host offers {}", offered.trim()));
    }
    Ok(want.to_owned())
}

/// A 32-bit signed number of microseconds that is none below 0 (kernel/power/qos.c, cpu_latency_qos_write).
fn micros(want: &str) -> Option<String> {
    want.parse::<u32>().ok().filter(|n| i32::try_from(*n).is_ok()).map(|n| n.to_string())
}
