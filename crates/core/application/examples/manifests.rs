//! Writes the generated files of `manifests/`: `cargo run -p application --example manifests`.

#![expect(clippy::disallowed_methods, reason = "it exists to write files")]

use std::path::Path;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../manifests");
    std::fs::create_dir_all(root.join("crds"))?;
    for (name, text) in application::crd::files() {
        std::fs::write(root.join("crds").join(name), text)?;
    }
    for (name, text) in application::install::files() {
        std::fs::write(root.join(name), text)?;
    }
    Ok(())
}
