//! A Chromium without a window and without a network, driven by its DevTools protocol over a pipe.

#![allow(unreachable_pub)] // a suite has no outside

pub mod png;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// What is looked for, the smaller one first; either package has the protocol.
const PROGRAMS: [&str; 2] = ["chromium-headless-shell", "chromium"];
/// Longest that a browser may run; one that hangs is ended, and its suite fails.
const PATIENCE_S: u32 = 200;

/// A running browser with one page, ended when dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    next: u64,
    events: Vec<Value>,
    profile: PathBuf,
}

fn program() -> &'static str {
    let found = |name: &&str| {
        let asked = Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    PROGRAMS
        .into_iter()
        .find(found)
        .unwrap_or_else(|| panic!("none of {PROGRAMS:?} is here; scripts/packages installs one"))
}

impl Browser {
    /// Starts it in a network namespace of its own, with a new profile in `folder`.
    pub fn start(folder: &Path) -> Self {
        // Two runs of one checkout do not take each other's away.
        let profile = folder.join(format!("profile-{}", std::process::id()));
        let _ = fs::remove_dir_all(&profile);
        fs::create_dir_all(&profile).unwrap();
        // The protocol speaks on descriptors 3 and 4.
        let script = format!(
            "exec timeout -k 5 {PATIENCE_S} unshare --net {} --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
             --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
             --hide-scrollbars --force-device-scale-factor=1 --user-data-dir=\"$0\" --remote-debugging-pipe \
             3<&0 4>&1 </dev/null >\"$0/log\" 2>&1",
            program()
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .arg(&profile)
            .env("HOME", &profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut this = Self { child, to, from, session: None, next: 0, events: Vec::new(), profile };
        let target = this.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = this.ask("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        this.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Log", "Runtime"] {
            this.ask(&format!("{domain}.enable"), &json!({}));
        }
        this
    }

    /// Sends a command and gives its result; what comes before it is kept as events.
    pub fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.as_mut().unwrap().write_all(&bytes).unwrap_or_else(|e| panic!("{method}: {e}: {}", self.log()));
        loop {
            let message = self.message(method);
            if message["id"].as_u64() != Some(self.next) {
                self.events.push(message);
                continue;
            }
            assert!(message["error"].is_null(), "{method}: {}", message["error"]);
            return message["result"].clone();
        }
    }

    fn message(&mut self, during: &str) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser ended during {during}: {}", self.log());
        serde_json::from_slice(&bytes).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.profile.join("log")).unwrap_or_default()
    }

    /// Takes the events of a name that came.
    pub fn took(&mut self, name: &str) -> Vec<Value> {
        let (wanted, others) = self.events.drain(..).partition(|e| e["method"] == name);
        self.events = others;
        wanted
    }

    /// Waits for the next event of a name.
    pub fn waits_for(&mut self, name: &str) {
        while self.took(name).is_empty() {
            let message = self.message(name);
            self.events.push(message);
        }
    }

    /// What an expression of the page's own language gives.
    pub fn evaluates(&mut self, expression: &str) -> Value {
        let answer = self.ask("Runtime.evaluate", &json!({"expression": expression, "returnByValue": true}));
        assert!(answer["exceptionDetails"].is_null(), "{answer:#}");
        answer["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A pipe that closes ends it, with all its processes.
        self.to = None;
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// What a base64 text stands for (RFC 4648 §4).
pub fn from_base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} in base64"),
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(value).collect();
    let three = |four: &[u8]| {
        let word = four.iter().enumerate().fold(0u32, |word, (n, digit)| word | u32::from(*digit) << (18 - 6 * n));
        word.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(three).collect()
}
