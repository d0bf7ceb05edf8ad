//! One process at a time fills the cache.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::process;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::VmError;

/// How long one `prepare` waits for another that is downloading.
const PATIENCE: Duration = Duration::from_secs(900);

/// Held while the cache is filled, so that two processes do not fetch the same packages into one apt directory. The
/// kernel gives it back when its process ends, however it ends; the file stays.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(cache: &Path) -> Result<Self, VmError> {
        Self::within(cache, PATIENCE)
    }

    fn within(cache: &Path, patience: Duration) -> Result<Self, VmError> {
        let path = cache.join("lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(VmError::io("create", &path))?;
        let since = Instant::now();
        while let Err(e) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if e != Errno::WOULDBLOCK {
                return Err(VmError::io("lock", &path)(e.into()));
            }
            if since.elapsed() >= patience {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                let detail = format!(
                    "process {} still fills the cache {} after {} s; wait for its end, or end it",
                    owner.trim(),
                    cache.display(),
                    patience.as_secs()
                );
                return Err(VmError::BadGuest { detail });
            }
            sleep(Duration::from_millis(200));
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", process::id()))
            .map_err(VmError::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_holds_it_and_the_next_is_reported_who() {
        let cache = std::env::temp_dir().join(format!("lowlat-lock-{}", process::id()));
        fs::create_dir_all(&cache).unwrap();
        // What a process left that was killed, or that made the file by being there.
        fs::write(cache.join("lock"), "4194304999-1").unwrap();
        let held = Lock::take(&cache).unwrap();
        let refused = Lock::within(&cache, Duration::ZERO).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {} still fills the cache", process::id())), "{refused}");
        assert_eq!(refused.lines().count(), 1);
        drop(held);
        // Many who come at once, as after the end of one that filled it.
        let inside = AtomicU32::new(0);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    let _held = Lock::take(&cache).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                    sleep(Duration::from_millis(20));
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        fs::remove_dir_all(&cache).unwrap();
    }
}
