//! Which ports does a lab use, and how do two labs keep out of each other's way?

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Below the range from which Linux and macOS take the ports of outgoing connections: a server that is stopped
/// and started again must find its port free.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A loopback port that no other lab uses while this value lives, whether a server listens or not.
pub(crate) struct Port {
    pub(crate) number: u16,
    // The lock ends with the handle, also when the process is killed.
    _lock: File,
}

impl Port {
    /// Reserves a free port, with a lock file in the folder `cache`.
    pub(crate) fn reserve(cache: &Path) -> Result<Self> {
        let folder = cache.join("ports");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        for number in RANGE {
            let path = folder.join(number.to_string());
            let lock = File::create(&path).with_context(|| format!("create {}", path.display()))?;
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("find a free port on 127.0.0.1 between {} and {}", RANGE.start, RANGE.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The locks that labs of other processes see as well, so that these tests take no port from them.
    fn reserve() -> Port {
        Port::reserve(&crate::programs::cache_folder().unwrap()).unwrap()
    }

    #[test]
    fn a_port_is_given_to_one_lab_at_a_time() {
        let [one, two] = [reserve(), reserve()];
        assert_ne!(one.number, two.number);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_left_alone() {
        let port = reserve();
        let taken = TcpListener::bind(("127.0.0.1", port.number)).unwrap();
        drop(port);
        assert_ne!(reserve().number, taken.local_addr().unwrap().port());
    }
}
