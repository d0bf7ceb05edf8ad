//! A latency histogram that the application exports, in a file or on a page, read at both ends of a round.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use lowlat_model::measurement::samples_needed;
use lowlat_samplelog::exported::{self, ChosenHistogram, Exported, Increase, NoFigure};

use super::command::cut;
use super::{Found, round};
use crate::Failure;

/// Longest export, bytes: some hundred thousand samples of Prometheus, or a day of intervals of a second.
const LONGEST: u64 = 64 << 20;
/// A page has this long for its answer; scrapes of Prometheus have 10 s by default (`scrape_timeout`).
const PAGE: Duration = Duration::from_secs(10);

/// What is read, and which figure of it.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramAsk {
    /// A file, or `http://HOST[:PORT]/PATH`.
    pub place: String,
    /// Which histogram; `None` for the only one.
    pub chosen: Option<ChosenHistogram>,
    /// Quantile, 0 to 1.
    pub quantile: f64,
    /// Shortest round, ns.
    pub round_ns: u64,
}

/// `p99`, `p99.9`, `p50`: a quantile between 0 and 1.
pub fn quantile(text: &str) -> Result<f64, String> {
    let share = text.strip_prefix(['p', 'P']).and_then(|n| n.parse::<f64>().ok()).map(|p| p / 100.0);
    share.filter(|q| *q > 0.0 && *q < 1.0).ok_or_else(|| "give a quantile between p0 and p100, as p99".to_owned())
}

impl HistogramAsk {
    /// P99 of the only histogram there, over rounds of a second at least.
    pub fn new(place: &str) -> Result<Self, Failure> {
        if place.trim().is_empty() {
            return Err(Failure::new("judge by a histogram: no file is named; give FILE or http://HOST:PORT/PATH"));
        }
        if place.starts_with("https://") {
            return Err(Failure::new(format!(
                "judge by {}: only plain http is read; give http:// on the application's own port, or a file",
                cut(place)
            )));
        }
        Ok(Self { place: place.to_owned(), chosen: None, quantile: 0.99, round_ns: 1_000_000_000 })
    }

    /// As the user named it.
    pub(super) fn words(&self) -> String {
        let of = self.chosen.as_ref().map(|c| format!(" of {c}")).unwrap_or_default();
        format!("p{}{of} in {}", (self.quantile * 1e6).round() / 1e4, self.place)
    }

    /// The quantile of what came within a round.
    pub(super) fn round(&self, timeout_ns: u64) -> Result<f64, Failure> {
        let failed = |why: &str, next: &str| {
            Failure::new(format!("judge by the histogram {}: {why}; {next}", cut(&self.words())))
        };
        let read = |now: &Exported, first: &Exported| {
            let next = "start again when the application runs";
            now.since(first).map_err(|why| failed(&why, next))
        };
        let figure = |first: &Exported, now: &Exported| match self.figure(&read(now, first)?) {
            Err(Missing::Yet(why)) => Ok(Found::Missing(why)),
            Err(Missing::Always(why)) => Err(failed(&why, "give the application's histogram a higher bucket")),
            Ok(figure) => Ok(Found::Figure(figure)),
        };
        round((self.round_ns, timeout_ns), &mut || self.look(&failed), &figure, &failed)
    }

    fn figure(&self, grown: &Increase) -> Result<f64, Missing> {
        let needed = samples_needed(self.quantile);
        if grown.total() < needed as f64 {
            let words = format!("it counted {} observations, and this quantile needs {needed}", grown.total());
            return Err(Missing::Yet(words));
        }
        grown.quantile(self.quantile).map_err(|why| match why {
            NoFigure::Empty => Missing::Yet("it counted nothing".to_owned()),
            NoFigure::Above(bound) => Missing::Always(format!("the quantile lies above its highest bound, {bound}")),
        })
    }

    fn look(&self, failed: &dyn Fn(&str, &str) -> Failure) -> Result<Exported, Failure> {
        let bytes = match self.place.strip_prefix("http://") {
            Some(rest) => page(rest).map_err(|why| failed(&why, "try it with curl"))?,
            None => lowlat_sys::store::read_bounded(Path::new(&self.place), LONGEST)
                .map_err(|e| Failure::new(format!("judge by the histogram {}: {e}", cut(&self.words()))))?,
        };
        let next = "give Prometheus' buckets (text format) or HdrHistogram's interval log";
        exported::read(&bytes, self.chosen.as_ref()).map_err(|why| failed(&why, next))
    }
}

/// Why a round has no figure.
enum Missing {
    /// More may come.
    Yet(String),
    /// It stays so.
    Always(String),
}

/// The body of a page, by HTTP/1.0, which knows no chunks. `rest` is `HOST[:PORT][/PATH]`.
fn page(rest: &str) -> Result<Vec<u8>, String> {
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    if rest.chars().any(|c| c.is_control() || c == ' ') {
        return Err("its address holds a blank or a control character".to_owned());
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let at = if has_port { host.to_owned() } else { format!("{host}:80") };
    let io = |what: &str, e: &dyn std::fmt::Display| format!("{what}: {e}");
    let all = at.to_socket_addrs().map_err(|e| io("resolve its host", &e))?;
    let mut last = "its host has no address".to_owned();
    let stream = all.into_iter().find_map(|address| match TcpStream::connect_timeout(&address, PAGE) {
        Ok(stream) => Some(stream),
        Err(e) => {
            last = io("connect", &e);
            None
        }
    });
    let Some(mut stream) = stream else { return Err(last) };
    let both = stream.set_read_timeout(Some(PAGE)).and_then(|()| stream.set_write_timeout(Some(PAGE)));
    both.map_err(|e| io("set a time limit", &e))?;
    let ask = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).map_err(|e| io("ask for the page", &e))?;
    let mut all = Vec::new();
    // One byte more than is taken, so that a longer one is known.
    stream.take(LONGEST + 1).read_to_end(&mut all).map_err(|e| io("read the page", &e))?;
    if all.len() as u64 > LONGEST {
        return Err(format!("the page is longer than {} MiB", LONGEST >> 20));
    }
    let head = all.windows(4).position(|w| w == b"\r\n\r\n").ok_or("its answer is not HTTP")?;
    let status = String::from_utf8_lossy(&all[..head]).lines().next().unwrap_or_default().to_owned();
    match status.split_whitespace().nth(1) {
        Some("200") if status.starts_with("HTTP/1.") => Ok(all.split_off(head + 4)),
        _ => Err(format!("its answer was {:?}", cut(&status))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_quantile_is_written_as_everywhere() {
        assert!((quantile("p99.9").unwrap() - 0.999).abs() < 1e-12);
        for bad in ["99", "p", "p0", "p100", "p-1", "pnan", "0.99"] {
            assert!(quantile(bad).is_err(), "{bad}");
        }
        let ask = HistogramAsk { quantile: quantile("p99.9").unwrap(), ..HistogramAsk::new("/tmp/x").unwrap() };
        assert_eq!(ask.words(), "p99.9 in /tmp/x");
        assert!(HistogramAsk::new(" ").is_err() && HistogramAsk::new("https://h/").is_err());
    }

    /// What one answer on loopback gives.
    fn answered(answer: &'static [u8]) -> Result<Vec<u8>, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 512];
            let n = stream.read(&mut asked).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&asked[..n]).into_owned()
        });
        let got = page(&format!("{at}/metrics?x=1"));
        assert!(server.join().unwrap().starts_with("GET /metrics?x=1 HTTP/1.0\r\nHost: 127.0.0.1:"));
        got
    }

    #[test]
    fn a_page_is_its_body_and_anything_else_is_named() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nup 1\n").unwrap(), b"up 1\n");
        for (answer, named) in [
            (&b"HTTP/1.1 404 Not Found\r\n\r\n"[..], "404 Not Found"),
            (b"hello", "not HTTP"),
            (b"SSH-2.0-x\r\n\r\n", "SSH-2.0-x"),
            (b"", "not HTTP"),
        ] {
            let why = answered(answer).unwrap_err();
            assert!(why.contains(named) && why.lines().count() == 1, "{why}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(page(&format!("{closed}/")).unwrap_err().contains("refused"));
        assert!(page("h/a b").unwrap_err().contains("blank"));
    }
}
