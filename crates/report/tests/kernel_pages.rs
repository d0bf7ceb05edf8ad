//! The page of every kind of stored document in a real browser, at two widths, in light and in dark, and in print: what a
//! machine can judge of it is asserted, and the pictures are kept in the target folder for an eye.
//!
//! The documents are in `fixtures/pages`. The browser has a network namespace of its own, so this needs root; without a
//! browser it fails.
#![allow(clippy::unwrap_used, missing_docs)] // a test may end by panic; a suite exports nothing

mod browser;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lowlat_model::stored::StoredRun;
use lowlat_report::{Format, WIDTH};
use serde_json::{Value, json};

use browser::png::Picture;
use browser::{Browser, from_base64};

/// Kinds of documents that have a page.
const KINDS: [&str; 12] = [
    "bypass-verdict",
    "compare",
    "engines",
    "measure",
    "measure-ping-pong",
    "noise",
    "optimize",
    "shape",
    "sweep",
    "trace",
    "watch",
    "zerocopy",
];
/// Kinds without a plot.
const WITHOUT: [&str; 3] = ["bypass-verdict", "watch", "zerocopy"];
/// A4 at 96 pixels an inch.
const PAPER: u32 = 794;

/// What is wrong with a page, as the browser lays it out.
const LOOK: &str = r"(() => {
  const bad = [], round = n => Math.round(n);
  const scrolls = e => {
    for (let p = e.parentElement; p; p = p.parentElement)
      if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return true;
    return false;
  };
  for (const e of document.querySelectorAll('main *')) {
    const r = e.getBoundingClientRect();
    if (r.width > 0 && r.right > innerWidth + 1 && !scrolls(e)) bad.push(`<${e.tagName}> ends at ${round(r.right)}: ${e.textContent.slice(0, 40)}`);
  }
  const svgs = [...document.querySelectorAll('svg')];
  for (const svg of svgs) {
    const title = svg.querySelector('title')?.textContent, r = svg.getBoundingClientRect();
    if (r.width < 60 || r.height < 40) bad.push(`${title}: ${round(r.width)} by ${round(r.height)}`);
    if (!svg.closest('.card') && !svg.closest('section')?.querySelector('td')) bad.push(`${title}: without a table`);
    const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
    texts.forEach(([a, b], n) => {
      if (b.left < r.left - 1 || b.right > r.right + 1 || b.top < r.top - 1 || b.bottom > r.bottom + 1) bad.push(`${title}: ${a} is outside`);
      for (const [c, d] of texts.slice(n + 1)) {
        const wide = Math.min(b.right, d.right) - Math.max(b.left, d.left), high = Math.min(b.bottom, d.bottom) - Math.max(b.top, d.top);
        if (wide > 2 && high > 4) bad.push(`${title}: ${a} is over ${c}`);
      }
    });
  }
  return {bad, svgs: svgs.length, width: innerWidth, scroll: document.documentElement.scrollWidth};
})()";

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// One state of a page: width, media, colours.
struct State {
    name: &'static str,
    width: u32,
    media: &'static str,
    scheme: &'static str,
}

const STATES: [State; 5] = [
    State { name: "1100-light", width: 1_100, media: "screen", scheme: "light" },
    State { name: "1100-dark", width: 1_100, media: "screen", scheme: "dark" },
    State { name: "400-light", width: 400, media: "screen", scheme: "light" },
    State { name: "400-dark", width: 400, media: "screen", scheme: "dark" },
    State { name: "print", width: PAPER, media: "print", scheme: "light" },
];

/// Lays the page out in one state, adds what is wrong to `wrong`, and keeps its picture.
fn looked_at(browser: &mut Browser, kind: &str, (state, kept): (&State, bool), wrong: &mut Vec<String>) -> Picture {
    let size = |height: u64| json!({"width": state.width, "height": height, "deviceScaleFactor": 1, "mobile": false});
    browser.ask("Emulation.setDeviceMetricsOverride", &size(900));
    let features = json!([{"name": "prefers-color-scheme", "value": state.scheme}]);
    browser.ask("Emulation.setEmulatedMedia", &json!({"media": state.media, "features": features}));
    let look = browser.evaluates(LOOK);
    let place = format!("{kind} {}", state.name);
    let bad = look["bad"].as_array().unwrap().iter().map(|b| format!("{place}: {}", b.as_str().unwrap()));
    wrong.extend(bad);
    if look["scroll"].as_u64() > look["width"].as_u64() {
        wrong.push(format!("{place}: scrolls to {} at {}", look["scroll"], look["width"]));
    }
    if (look["svgs"] == 0) != WITHOUT.contains(&kind) {
        wrong.push(format!("{place}: {} plots", look["svgs"]));
    }
    let all = browser.ask("Page.getLayoutMetrics", &json!({}))["cssContentSize"]["height"].as_f64().unwrap();
    let mut taken = |scale: f64| {
        let clip = json!({"x": 0, "y": 0, "width": state.width, "height": all, "scale": scale});
        let how = json!({"format": "png", "captureBeyondViewport": true, "clip": clip, "optimizeForSpeed": true});
        from_base64(browser.ask("Page.captureScreenshot", &how)["data"].as_str().unwrap())
    };
    if kept {
        fs::write(folder().join(format!("{kind}-{}.png", state.name)), taken(1.0)).unwrap();
    }
    // A sixteenth of the pixels is enough for a machine.
    let picture = Picture::decode(&taken(0.25));
    let colours = picture.colours();
    let most = colours.values().max().copied().unwrap_or(0);
    if colours.len() < 20 || most as f64 > 0.995 * picture.pixels.len() as f64 {
        wrong.push(format!("{place}: blank, {} colours", colours.len()));
    }
    if picture.width.abs_diff(state.width as usize / 4) > 1 || picture.height < 50 {
        wrong.push(format!("{place}: a picture of {} by {}", picture.width, picture.height));
    }
    picture
}

/// A document's page in the first of the states. Where they are all, the pictures and what a printer gets are kept.
fn page(browser: &mut Browser, kind: &str, html: &str, states: &[State], wrong: &mut Vec<String>) {
    let kept = states.len() == STATES.len();
    let file = folder().join(format!("{}{kind}.html", if kept { "" } else { "faulty-" }));
    fs::write(&file, html).unwrap();
    let url = format!("file://{}", file.display());
    browser.took("Network.requestWillBeSent");
    browser.took("Log.entryAdded");
    browser.took("Page.loadEventFired");
    browser.ask("Page.navigate", &json!({"url": url}));
    browser.waits_for("Page.loadEventFired");
    let brightness: Vec<f64> =
        states.iter().map(|state| looked_at(browser, kind, (state, kept), wrong).brightness()).collect();
    let (light, dark) = (brightness[0], brightness[1]);
    if !(light > 180.0 && dark < 80.0) {
        wrong.push(format!("{kind}: light is {light:.0} bright, dark {dark:.0}"));
    }
    if kept {
        let printed = browser.ask("Page.printToPDF", &json!({"printBackground": false}));
        let pdf = from_base64(printed["data"].as_str().unwrap());
        fs::write(folder().join(format!("{kind}.pdf")), &pdf).unwrap();
        if !pdf.starts_with(b"%PDF-") || pdf.len() < 5_000 {
            wrong.push(format!("{kind}: printed as {} bytes", pdf.len()));
        }
    }
    let asked: BTreeSet<String> = browser
        .took("Network.requestWillBeSent")
        .iter()
        .map(|e| e["params"]["request"]["url"].as_str().unwrap().to_owned())
        .collect();
    let own = BTreeSet::from([url]);
    if asked != own {
        wrong.push(format!("{kind}: it asks for {asked:?}"));
    }
    let said: Vec<Value> = browser.took("Log.entryAdded");
    if !said.is_empty() {
        wrong.push(format!("{kind}: {said:?}"));
    }
}

#[test]
fn every_page_is_readable_on_a_screen_on_a_phone_in_the_dark_and_in_print() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pages");
    let mut browser = Browser::start(&folder());
    let mut wrong = Vec::new();
    for kind in KINDS {
        let document = fs::read(fixtures.join(format!("{kind}.json"))).unwrap_or_else(|e| panic!("{kind}: {e}"));
        let run = StoredRun::parse(&document).unwrap_or_else(|why| panic!("{kind}: {why}"));
        page(&mut browser, kind, &lowlat_report::stored(&run, Format::Html, WIDTH), &STATES, &mut wrong);
    }
    assert!(
        wrong.is_empty(),
        "{} faults; the pictures are in {}:\n{}",
        wrong.len(),
        folder().display(),
        wrong.join("\n")
    );
}

/// What the first test looks for is found where it is.
#[test]
fn faults_of_a_page_are_seen() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pages");
    let run = StoredRun::parse(&fs::read(fixtures.join("compare.json")).unwrap()).unwrap();
    let good = lowlat_report::stored(&run, Format::Html, WIDTH);
    let mut browser = Browser::start(&folder().join("faults"));
    for (fault, spoilt, named) in [
        ("a wide element", good.replace("<main>", "<main><p style=\"width:1400px\">x</p>"), "scrolls to"),
        (
            "text over text",
            good.replace("</svg>", "<text x=\"100\" y=\"20\">aaaa</text><text x=\"101\" y=\"21\">bbbb</text></svg>"),
            "aaaa is over bbbb",
        ),
        ("text outside", good.replace("</svg>", "<text x=\"-90\" y=\"20\">aaaa</text></svg>"), "aaaa is outside"),
        ("no table", good.replace("<td", "<i").replace("</td>", "</i>"), "without a table"),
        ("no plot", good.replace("viewBox", "data-box").replace("<svg", "<svg style=\"display:none\""), " by "),
        (
            "a picture from elsewhere",
            good.replace("default-src 'none'; ", "").replace("<main>", "<main><img src=\"http://192.0.2.1/x.png\">"),
            "it asks for",
        ),
        ("a script", good.replace("<main>", "<main><script>1</script>"), "script"),
        ("no dark", good.replace("prefers-color-scheme:dark", "prefers-color-scheme:none"), "dark 2"),
        ("blank", "<!doctype html><main></main>".to_owned(), "blank"),
    ] {
        let mut wrong = Vec::new();
        page(&mut browser, "compare", &spoilt, &STATES[..2], &mut wrong);
        assert!(wrong.iter().any(|w| w.contains(named)), "{fault}: {wrong:#?}");
    }
}
