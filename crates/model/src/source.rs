//! Where a fact on a page comes from, in a form that a reader can open.

/// Forms of a source, for the message of a test.
pub const FORMS: &str = "`https://… (section)`, `PATH in linux X.Y: symbol`, `linux commit HASH: subject`, \
                         `man N NAME (section)`, `RFC N (section)`, `IEEE N (clause)`, `measured: how and on what`, \
                         `heuristic: why`, `not confirmed: what`";

/// Whether a source has one of the [`FORMS`]: a document that is named well enough to be opened at the place that says
/// it, a measurement with its conditions, or a plain word that there is none.
pub fn has_form(source: &str) -> bool {
    let said = |rest: &str| rest.trim().len() > 7;
    if let Some(url) = source.strip_prefix("https://") {
        let (url, section) = url.split_once(' ').unwrap_or((url, "(none)"));
        return url.contains('.') && section.starts_with('(') && section.ends_with(')');
    }
    for word in ["measured: ", "heuristic: ", "not confirmed: "] {
        if let Some(rest) = source.strip_prefix(word) {
            return said(rest);
        }
    }
    if let Some(rest) = source.strip_prefix("linux commit ") {
        let hash = rest.split([':', ' ']).next().unwrap_or_default();
        return hash.len() >= 12 && hash.bytes().all(|b| b.is_ascii_hexdigit()) && rest.contains(": ");
    }
    if let Some(rest) = source.strip_prefix("man ") {
        let mut words = rest.split(' ');
        return words.next().is_some_and(|n| matches!(n.as_bytes(), [b'1'..=b'8'])) && words.next().is_some();
    }
    for body in ["RFC ", "IEEE "] {
        if let Some(rest) = source.strip_prefix(body) {
            return rest.as_bytes().first().is_some_and(u8::is_ascii_digit);
        }
    }
    kernel_file(source)
}

/// `net/core/dev.c in linux 6.12: napi_complete_done`, with more versions after commas.
fn kernel_file(source: &str) -> bool {
    let Some((path, rest)) = source.split_once(" in linux ") else { return false };
    let (versions, what) = rest.split_once(": ").unwrap_or((rest, ""));
    let version = |v: &str| {
        v.split_once('.').is_some_and(|(major, minor)| {
            [major, minor].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    let plain = |p: &str| !p.starts_with('/') && !p.contains(' ') && p.contains('/');
    // A document is found by its section, code by its symbol; only a file that is one thing needs neither.
    plain(path) && versions.split(", ").all(version) && (rest == versions || !what.is_empty())
}

#[cfg(test)]
mod tests {
    use super::has_form;

    #[test]
    fn what_can_be_opened_has_a_form() {
        for good in [
            "https://doc.dpdk.org/guides/linux_gsg/linux_drivers.html (7.4 Bifurcated Driver)",
            "https://docs.kernel.org/networking/napi.html",
            "net/core/dev.c in linux 6.1, 6.12: napi_complete_done",
            "Documentation/networking/napi.rst in linux 6.12: Busy polling",
            "linux commit b797a684b0dd: net/mlx5e: Enable CQE compression when PCI is slower than link",
            "man 8 tc-netem (DELAY)",
            "RFC 8290 (section 5.2)",
            "IEEE 802.3az-2010 (table 78-4)",
            "measured: veth, linux 6.18, 20000 round trips",
            "heuristic: a tenth of the goal",
            "not confirmed: the figure of the vendor",
        ] {
            assert!(has_form(good), "{good}");
        }
        for bad in [
            "",
            "net/core/dev.c",
            "net/core/dev.c (v6.12): x",
            "net/core/dev.c in linux six: x",
            "net/core/dev.c in linux 6.12: ",
            "/net/core/dev.c in linux 6.12",
            "http://example.org",
            "https://example.org section 3",
            "linux commit b797: x",
            "man tc",
            "I remember it",
            "measured: x",
        ] {
            assert!(!has_form(bad), "{bad:?} was taken");
        }
    }
}
