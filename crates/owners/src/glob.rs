//! Shell patterns as fnmatch(3) has them with `FNM_PATHNAME`: `*` and `?` match no slash.

/// Whether a text matches a pattern.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    at(pattern.as_bytes(), text.as_bytes())
}

fn at(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            at(&pattern[1..], text) || text.first().is_some_and(|c| *c != b'/' && at(pattern, &text[1..]))
        }
        (Some(b'?'), Some(c)) => *c != b'/' && at(&pattern[1..], &text[1..]),
        (Some(b'['), Some(c)) => match set(&pattern[1..], *c) {
            Some((inside, rest)) => inside && at(rest, &text[1..]),
            None => *c == b'[' && at(&pattern[1..], &text[1..]),
        },
        (Some(p), Some(c)) => p == c && at(&pattern[1..], &text[1..]),
        _ => false,
    }
}

/// Whether a bracket expression holds a byte, and what follows it; `None` where it does not end.
fn set(pattern: &[u8], c: u8) -> Option<(bool, &[u8])> {
    let (negated, body) = match pattern.first()? {
        b'!' | b'^' => (true, &pattern[1..]),
        _ => (false, pattern),
    };
    // A bracket that comes first is a member (fnmatch(3), POSIX 2.13.1).
    let end = 1 + body.get(1..)?.iter().position(|b| *b == b']')?;
    let (members, rest) = (&body[..end], &body[end + 1..]);
    let mut inside = false;
    let mut n = 0;
    while n < members.len() {
        if n + 2 < members.len() && members[n + 1] == b'-' {
            inside |= (members[n]..=members[n + 2]).contains(&c);
            n += 3;
        } else {
            inside |= members[n] == c;
            n += 1;
        }
    }
    Some((inside != negated, rest))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_matches_no_slash() {
        for (pattern, text, is) in [
            ("eth*", "eth0", true),
            ("eth?", "eth", false),
            ("net/ipv4/conf/*/rp_filter", "net/ipv4/conf/eth0/rp_filter", true),
            ("net/*", "net/core/busy_read", false),
            ("en[op]*", "enp3s0", true),
            ("en[!op]*", "enp3s0", false),
            ("e[a-c]", "eb", true),
            ("e[", "e[", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }
}
