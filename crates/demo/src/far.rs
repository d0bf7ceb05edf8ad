//! The far node's process of both labs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use lowlat_lab::netns::FarNode;
use lowlat_peers::serve::{self, ServeConfig, Wait};

use lowlat_live::Outcome;

/// Answers `serve PORT sleep|spin CPU` until its parent ends.
///
/// # Errors
/// The namespace could not be made.
pub fn run() -> Outcome {
    static NEVER: AtomicBool = AtomicBool::new(false);
    let node = FarNode::start().map_err(super::in_lab)?;
    let errors: &'static Mutex<Vec<String>> = Box::leak(Box::default());
    node.run(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["serve", port, how, cpu] = words.as_slice() else { return Err(format!("the far node knows no {line:?}")) };
        let (Ok(port), Ok(cpu)) = (port.parse::<u16>(), cpu.parse::<u32>()) else {
            return Err(format!("{line:?} has a number that is none"));
        };
        let wait = if *how == "spin" { Wait::Spin } else { Wait::Sleep };
        let config = ServeConfig { port: Some(port), cpu: Some(cpu), wait, ..ServeConfig::default() };
        let (ready, bound) = mpsc::channel();
        std::thread::spawn(move || {
            if let Err(e) = serve::run(&config, &NEVER, |_| {
                let _ = ready.send(());
            }) && let Ok(mut errors) = errors.lock()
            {
                errors.push(e.to_string());
            }
        });
        bound.recv_timeout(Duration::from_secs(5)).map_err(|_| {
            let why =
                errors.lock().ok().and_then(|mut e| e.pop()).unwrap_or_else(|| "it did not come up in 5 s".to_owned());
            format!("serve on port {port}: {why}")
        })?;
        Ok(String::new())
    });
    NEVER.store(true, Ordering::Relaxed);
    Ok(0)
}
