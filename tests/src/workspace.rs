//! Where things are: the checkout, what `make setup` made and what `make build` built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::{Context, Error, Result};

/// The four functions' programs.
pub const FUNCTIONS: [&str; 4] = ["authorizer", "routes", "pusher", "watchdog"];

/// The machine's architecture in AWS's words.
#[must_use]
pub fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// The top of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    // A target folder that two checkouts share keeps the path of the one that built; a program that Cargo did not start
    // has nothing else to go by.
    let built = || env!("CARGO_MANIFEST_DIR").into();
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built)).join("..")
}

/// A folder for what is made once and used by many runs.
pub fn cache() -> Result<PathBuf> {
    if let Some(cache) = std::env::var_os("SUMU_CACHE") {
        return Ok(cache.into());
    }
    let home = std::env::var_os("HOME").context("neither SUMU_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/sumu"))
}

/// A Kubernetes program: from `KUBEBUILDER_ASSETS` when that is set, else from `make setup`.
pub fn kubernetes_program(name: &str) -> Result<PathBuf> {
    match std::env::var_os("KUBEBUILDER_ASSETS") {
        Some(folder) if !folder.is_empty() => existing(Path::new(&folder).join(name), "unset KUBEBUILDER_ASSETS"),
        _ => existing(cache()?.join("testbed/bin").join(name), "run `make setup`"),
    }
}

/// Helm, which is no part of what `KUBEBUILDER_ASSETS` names.
pub fn helm() -> Result<PathBuf> {
    existing(cache()?.join("testbed/bin/helm"), "run `make setup`")
}

/// The Helm chart.
#[must_use]
pub fn chart() -> PathBuf {
    root().join("charts/sumu-operator")
}

/// The Python that has the emulator and boto3.
pub fn python() -> Result<PathBuf> {
    existing(cache()?.join("testbed/venv/bin/python"), "run `make setup`")
}

/// The JavaScript packages of the documents' examples.
pub fn node_modules() -> Result<PathBuf> {
    let folder = cache()?.join("testbed/node/node_modules");
    if folder.is_dir() { Ok(folder) } else { Err(absent(&folder, "run `make setup`")) }
}

/// A program of this workspace, from the target folder that the running program is in.
pub fn program(name: &str) -> Result<PathBuf> {
    let running = std::env::current_exe()?;
    // A test is in `debug/deps`, the demo in `debug`.
    let near = running.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    near.with_context(|| {
        format!(
            "there is no program {name} beside {}: run `make build`, which builds the whole workspace",
            running.display()
        )
    })
}

/// The folder with the programs of this workspace.
pub fn programs() -> Result<PathBuf> {
    Ok(program("sumu-operator")?.parent().context("the operator is in no folder")?.to_owned())
}

/// The folder with the functions' packages, packed again when a program is newer than its package.
///
/// A real account gets those that `make functions` has built: the others are twenty times as large.
pub fn functions(are_for_an_account: bool) -> Result<PathBuf> {
    if are_for_an_account {
        let folder = cache()?.join("functions");
        existing(folder.join(architecture()).join("pusher.zip"), "run `make functions`")?;
        return Ok(folder);
    }
    // Beside the programs: runs of two checkouts must not pack over each other, because an operator that has read what a
    // package's hash is would upload another one.
    let folder = programs()?.join("functions");
    let packages = folder.join(architecture());
    let mut stale = false;
    for function in FUNCTIONS {
        let built = changed(&program(function)?)?;
        stale |= !changed(&packages.join(format!("{function}.zip"))).is_ok_and(|packed| packed >= built);
    }
    if stale {
        pack(&folder)?;
    }
    Ok(folder)
}

/// Packs into a folder of its own first: another run may be reading the packages.
fn pack(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder.join(architecture()))?;
    let fresh = tempfile::Builder::new().prefix(".new-").tempdir_in(folder)?;
    let from = programs()?;
    let output = Command::new(program("sumu-operator")?)
        .args(["package".as_ref(), "--from".as_ref(), from.as_os_str(), "--to".as_ref(), fresh.path().as_os_str()])
        .args(["--architecture", architecture()])
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::new(said).within("`sumu-operator package` failed"));
    }
    for function in FUNCTIONS {
        let package = Path::new(architecture()).join(format!("{function}.zip"));
        std::fs::rename(fresh.path().join(&package), folder.join(&package))
            .with_context(|| format!("`sumu-operator package` made no {}", package.display()))?;
    }
    Ok(())
}

fn changed(path: &Path) -> Result<SystemTime> {
    Ok(std::fs::metadata(path)?.modified()?)
}

fn existing(path: PathBuf, remedy: &str) -> Result<PathBuf> {
    if path.is_file() { Ok(path) } else { Err(absent(&path, remedy)) }
}

fn absent(path: &Path, remedy: &str) -> Error {
    Error::new(format!("{} is not there: {remedy}", path.display()))
}
