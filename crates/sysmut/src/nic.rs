//! Settings of an interface and of its routes, by netlink and ioctl.

use lowlat_model::Locus;
use lowlat_netlink::ethtool::{coalesce, features, flags, ioctl, sizes};
use lowlat_netlink::netdev;
use lowlat_netlink::route::metrics;

use crate::WriteError;

/// Writes one setting of an interface.
pub(crate) fn write(locus: &Locus, text: &str) -> Result<(), WriteError> {
    let what = || format!("set {locus:?} to {text:?}");
    let on = || switch(text).ok_or_else(|| WriteError::not_allowed(what(), SWITCH));
    let number = || text.trim().parse::<u32>().map_err(|_| WriteError::not_allowed(what(), "it takes a number"));
    match locus {
        // Only the wish is written; whether it comes true is the kernel's.
        Locus::Feature { iface, name } => {
            let wish = text.split_once(" [requested ").map_or(text.trim(), |(_, wish)| wish.trim_end_matches(']'));
            features::set_feature(iface, name, switch(wish).ok_or_else(|| WriteError::not_allowed(what(), SWITCH))?)?;
        }
        Locus::Coalesce { iface, param } => coalesce::set_coalesce(iface, param, number()?)?,
        Locus::Ring { iface, param } => sizes::set_ring(iface, param, number()?)?,
        Locus::Channels { iface, param } => sizes::set_channels(iface, param, number()?)?,
        Locus::Pause { iface, param } => flags::set_pause(iface, param, on()?)?,
        Locus::Eee { iface } => flags::set_eee(iface, on()?)?,
        Locus::PrivateFlag { iface, name } => flags::set_private_flag(iface, name, on()?)?,
        Locus::HwTimestamp { iface } => {
            let mode = hw_timestamp(text).ok_or_else(|| WriteError::not_allowed(what(), "it takes tx=N rx=N"))?;
            ioctl::set_hw_timestamp(iface, mode)?;
        }
        Locus::Rss { iface } => {
            let saved = lowlat_sys::hex::bytes_of(text)
                .ok_or_else(|| WriteError::not_allowed(what(), "it is no hexadecimal text"))?;
            ioctl::set_rss(iface, &saved)?;
        }
        Locus::Napi { id, param, .. } => {
            let value = text.trim().parse().map_err(|_| WriteError::not_allowed(what(), "it takes a number"))?;
            netdev::set_napi(*id, param, value)?;
        }
        Locus::RouteMetric { iface, prefix, metric } => {
            let to = prefix
                .split_once('/')
                .and_then(|(address, length)| Some((address.parse().ok()?, length.parse().ok()?)))
                .ok_or_else(|| WriteError::not_allowed(what(), "the route has no prefix"))?;
            metrics::set(iface, to, metric, number()?)?;
        }
        _ => return Err(WriteError::not_allowed(what(), "the place does not take a text")),
    }
    Ok(())
}

/// Writes several coalescing parameters of one interface in one message.
pub(crate) fn write_coalescing(iface: &str, values: &[(&str, &str)]) -> Result<(), WriteError> {
    let mut numbers = Vec::new();
    for (param, text) in values {
        let what = || format!("set coalescing {param} of {iface} to {text:?}");
        let number = text.trim().parse().map_err(|_| WriteError::not_allowed(what(), "it takes a number"))?;
        numbers.push((*param, number));
    }
    Ok(coalesce::set_coalesce_many(iface, &numbers)?)
}

const SWITCH: &str = "it takes on or off";

fn switch(text: &str) -> Option<bool> {
    match text.trim() {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// `tx=1 rx=0`.
fn hw_timestamp(text: &str) -> Option<ioctl::HwTimestamp> {
    let (mut tx, mut rx) = (None, None);
    for word in text.split_whitespace() {
        match word.split_once('=')? {
            ("tx", n) => tx = Some(n.parse().ok()?),
            ("rx", n) => rx = Some(n.parse().ok()?),
            _ => return None,
        }
    }
    Some(ioctl::HwTimestamp { tx: tx?, rx: rx? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamping_mode_is_whole_or_refused() {
        assert_eq!(hw_timestamp("tx=1 rx=12"), Some(ioctl::HwTimestamp { tx: 1, rx: 12 }));
        for bad in ["", "tx=1", "tx=1 rx=x", "on", "tx=1 rx=1 z=1"] {
            assert_eq!(hw_timestamp(bad), None, "{bad:?} was taken");
        }
    }

    #[test]
    fn one_bad_value_of_several_sends_nothing() {
        let bad = write_coalescing("lo", &[("rx-usecs", "0"), ("rx-frames", "many")]);
        assert!(matches!(bad, Err(WriteError::NotAllowed { .. })));
    }

    #[test]
    fn a_switch_takes_no_number() {
        let gro = Locus::Feature { iface: "lo".into(), name: "rx-gro".into() };
        assert!(matches!(write(&gro, "1"), Err(WriteError::NotAllowed { .. })));
    }
}
