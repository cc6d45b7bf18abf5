//! What makes a release: the workflows of the forge, and versions that agree.

use std::io::Write as _;
use std::process::{Command, Stdio};

use sumu_tests::{Context, Result, ensure, ensure_eq, workspace};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the linter says to a workflow, when it is not content.
fn complaint(workflow: &str) -> Result<Option<String>> {
    let linter = workspace::cache()?.join("testbed/bin/actionlint");
    // Nothing of the machine's own: shellcheck is there or not.
    let mut linter = Command::new(linter)
        .args(["-shellcheck=", "-pyflakes=", "-"])
        .current_dir(workspace::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("no actionlint: run `make setup`")?;
    linter.stdin.take().context("no input")?.write_all(workflow.as_bytes())?;
    let output = linter.wait_with_output()?;
    Ok((!output.status.success()).then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[test]
fn the_workflows_of_the_forge_pass_their_linter() -> Result<()> {
    let mut count = 0;
    for entry in std::fs::read_dir(workspace::root().join(".github/workflows"))? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        ensure_eq!(complaint(&text)?, None, "{}", path.display());
        count += 1;
    }
    ensure!(count >= 3, "only {count} workflows");
    let release = std::fs::read_to_string(workspace::root().join(".github/workflows/release.yml"))?;
    let broken = release.replacen("steps.version.outputs", "steps.verison.outputs", 1);
    let complaint = complaint(&broken)?.context("the linter finds no mistake in what is wrong")?;
    ensure!(complaint.contains("verison"), "it says {complaint}");
    Ok(())
}

#[test]
fn the_changelog_begins_with_the_version_of_the_crates() -> Result<()> {
    let changelog = std::fs::read_to_string(workspace::root().join("CHANGELOG.md"))?;
    let first = changelog.lines().find_map(|line| line.strip_prefix("## ")).context("no version")?;
    ensure_eq!(first, VERSION, "the newest version in CHANGELOG.md");
    Ok(())
}
