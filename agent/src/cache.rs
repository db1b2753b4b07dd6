//! What survives a restart on disk? Rendered sets; everything in the folder may vanish at any time.

use crate::desired::DesiredSet;
use model::{AppKey, digest};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Returns where the rendered set of an app is kept.
pub(crate) fn path(cache_dir: &Path, key: &AppKey) -> PathBuf {
    cache_dir.join("rendered").join(format!("{}.json", digest(key.to_string().as_bytes()).short(32)))
}

/// Reads a rendered set; `None` where there is none or where anything in it is off.
pub(crate) fn load(path: &Path) -> Option<DesiredSet> {
    let text = std::fs::read(path).ok()?;
    let (sum, body) = text.split_at_checked(65)?;
    // A sum over the content tells a torn or altered file from a whole one.
    (sum[..64] == *digest(body).to_string().as_bytes()).then_some(())?;
    DesiredSet::from_json(&serde_json::from_slice::<Value>(body).ok()?)
}

/// Writes a rendered set through a temporary file, so that a reader sees all of it or nothing.
pub(crate) fn store(path: &Path, set: &DesiredSet) -> std::io::Result<()> {
    let body = set.to_json().to_string();
    let folder = path.parent().unwrap_or(Path::new("."));
    // Rendered Secrets are in there: nobody else on this machine reads them.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(format!("{}\n{body}", digest(body.as_bytes())).as_bytes())?;
    std::fs::rename(&temporary, path)
}
