//! The far node: a child process in its own namespace, driven over its standard input and output, one line each way.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::enter::{LabError, die_with_parent, enter_private};
use super::half::far_half;
use crate::traffic::Traffic;

/// The near side's handle on the far node. Dropping it ends the child.
#[derive(Debug)]
pub struct Far {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Far {
    /// Starts this program again as the far node (hidden command `lab-far`) and waits until its namespace stands.
    pub fn spawn() -> Result<Self, LabError> {
        // The link itself, and not where it leads: in a chroot that is a path of the root outside, once the mount namespace
        // is another (d_path, fs/d_path.c: the file's mount is none of this namespace).
        Self::spawn_program(Command::new("/proc/self/exe").arg("lab-far"))
    }

    /// As [`Far::spawn`], with another program that calls [`FarNode::start`]; for tests.
    pub fn spawn_program(command: &mut Command) -> Result<Self, LabError> {
        let next = "run the demo again";
        let mut child = command
            .env("LOWLAT_LAB_PARENT", std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| LabError::new("start the far node", e, next))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(LabError::new("start the far node", "its pipes are missing", next));
        };
        let mut far = Self { child, to, from: BufReader::new(from) };
        match far.line()?.as_str() {
            "ready" => Ok(far),
            other => Err(LabError::new("start the far node", other, next)),
        }
    }

    /// The child's process id, which also names its namespace (`/proc/PID/ns/net`).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends one line and waits for its answer. An answer that does not begin with `ok` is an error.
    pub fn ask(&mut self, line: &str) -> Result<String, LabError> {
        let next = "run the demo again";
        writeln!(self.to, "{line}")
            .and_then(|()| self.to.flush())
            .map_err(|e| LabError::new(format!("ask the far node to {line:?}"), e, next))?;
        let answer = self.line()?;
        match answer.strip_prefix("ok") {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => Err(LabError::new(format!("ask the far node to {line:?}"), answer, next)),
        }
    }

    fn line(&mut self) -> Result<String, LabError> {
        let mut line = String::new();
        let n =
            self.from.read_line(&mut line).map_err(|e| LabError::new("hear the far node", e, "run the demo again"))?;
        if n == 0 {
            return Err(LabError::new(
                "hear the far node",
                "it ended",
                "run the demo again; what it said last stands above",
            ));
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // Its own child, by its own handle; the namespace goes with it. Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The far node's own side: runs in the child.
#[derive(Debug)]
pub struct FarNode(());

impl FarNode {
    /// Enters a private namespace, ties this process's life to its parent's, and says `ready`.
    pub fn start() -> Result<Self, LabError> {
        let parent = std::env::var("LOWLAT_LAB_PARENT").ok().and_then(|p| p.parse().ok()).unwrap_or(0);
        if !die_with_parent(parent) {
            return Err(LabError::new("start the far node", "it was not started by the lab", "run `lowlat demo`"));
        }
        if let Err(e) = enter_private() {
            say(&e.to_string());
            return Err(e);
        }
        say("ready");
        Ok(Self(()))
    }

    /// Answers lines until the near side closes the pipe: `link` and the traffic words itself, the others through
    /// `handle`, which returns the rest of the `ok` line, or an error.
    pub fn run(self, mut handle: impl FnMut(&str) -> Result<String, String>) {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            let line = line.trim();
            let answer = match (line.strip_prefix("link "), Traffic::parse(line)) {
                (Some(far_link), _) => far_half(far_link),
                (None, Some(traffic)) => traffic.start(),
                (None, None) => handle(line),
            };
            match answer {
                Ok(rest) => say(&format!("ok {rest}")),
                Err(why) => say(&why.replace('\n', " ")),
            }
        }
    }
}

fn say(line: &str) {
    // The near side may be gone; then there is nobody to tell and the loop ends at the next read.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
