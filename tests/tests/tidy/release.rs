//! What makes a release: the workflows of the forge, and versions that agree.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sumu_tests::helm::{Helm, manifests};
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

fn workflow() -> Result<Value> {
    let text = std::fs::read_to_string(workspace::root().join(".github/workflows/release.yml"))?;
    Ok(serde_saphyr::from_str(&text)?)
}

/// The one command of a job that has these words.
fn command<'a>(workflow: &'a Value, job: &str, words: &str) -> Result<&'a str> {
    let steps = workflow["jobs"][job]["steps"].as_array().context("no steps")?;
    let mut found = steps.iter().filter_map(|step| step["run"].as_str()).filter(|run| run.contains(words));
    let first = found.next().with_context(|| format!("{job} has no {words}"))?;
    ensure!(found.next().is_none(), "{job} has {words} more than once");
    Ok(first)
}

/// Runs a command as the forge does.
fn as_the_forge(command: &str, folder: &Path, variables: &[(&str, &str)]) -> Result<String> {
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", command])
        .current_dir(folder)
        .envs(variables.iter().copied())
        .output()?;
    ensure!(output.status.success(), "{command} has failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whoever installs it has no checkout, and sets no image.
#[test]
fn a_published_chart_pulls_the_published_image_and_says_nothing_that_only_a_checkout_has() -> Result<()> {
    let image = "ghcr.io/owner/sumu-operator";
    let folder = tempfile::tempdir()?;
    let copied = Command::new("cp").arg("-r").arg(workspace::root().join("charts")).arg(folder.path()).status()?;
    ensure!(copied.success(), "the chart was not copied");
    let variables = [
        ("IMAGE", image),
        ("CHARTS", "ghcr.io/owner/charts"),
        ("GITHUB_SERVER_URL", "https://forge.example"),
        ("GITHUB_REPOSITORY", "Owner/sumu"),
        ("GITHUB_REF_NAME", concat!("v", env!("CARGO_PKG_VERSION"))),
    ];
    let workflow = workflow()?;
    as_the_forge(command(&workflow, "chart", "charts/release.sh")?, folder.path(), &variables)?;
    let chart = folder.path().join("charts/sumu-operator");

    let arguments = ["template", "sumu", chart.to_str().context("a path that is no text")?];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rendered = runtime.block_on(async { Helm::offline(folder.path())?.ok(&arguments).await })?;
    let images: Vec<String> = manifests(&rendered)?
        .iter()
        .flat_map(|object| [&object["spec"]["containers"], &object["spec"]["template"]["spec"]["containers"]])
        .filter_map(|containers| containers[0]["image"].as_str().map(ToOwned::to_owned))
        .collect();
    ensure_eq!(images, vec![format!("{image}:{VERSION}"); 3], "the images");

    let readme = std::fs::read_to_string(chart.join("README.md"))?;
    for words in ["](../", "checkout", "published yet", "--set image.repository"] {
        ensure!(!readme.contains(words), "the chart's README says {words:?}");
    }
    let pages = format!("](https://forge.example/Owner/sumu/blob/v{VERSION}/docs/operations.md)");
    let place = format!("helm install sumu-operator oci://ghcr.io/owner/charts/sumu-operator --version {VERSION} ");
    for words in [&pages, &place, &format!("`{image:?}`")] {
        ensure!(readme.contains(words.as_str()), "the chart's README does not say {words:?}");
    }
    let about: Value = serde_saphyr::from_str(&std::fs::read_to_string(chart.join("Chart.yaml"))?)?;
    ensure_eq!(about["home"], json!("https://forge.example/Owner/sumu"), "the chart's home");
    Ok(())
}

#[test]
fn the_places_of_a_release_are_in_lower_case_and_a_failure_in_a_pipe_ends_it() -> Result<()> {
    let workflow = workflow()?;
    // Without the name of a shell the forge does not set `pipefail`.
    ensure_eq!(workflow["defaults"]["run"]["shell"], json!("bash"), "the shell");
    let version = command(&workflow, "version", "cargo metadata")?;
    let (_, place) = version.split_once("registry=").context("no registry")?;
    let place = place.lines().next().unwrap_or_default();
    let said = as_the_forge(
        &format!("registry={place}\necho \"$registry\""),
        &workspace::root(),
        &[("GITHUB_REPOSITORY_OWNER", "The-Owner")],
    )?;
    ensure_eq!(said.trim(), "ghcr.io/the-owner", "where the image is pushed to");
    Ok(())
}

/// Other compilers would make other packages of the same commit.
#[test]
fn a_release_compares_the_images_packages_with_those_that_the_images_builder_makes_of_the_commit() -> Result<()> {
    let workflow = workflow()?;
    let dockerfile = std::fs::read_to_string(workspace::root().join("Dockerfile"))?;
    let builder = dockerfile.lines().find_map(|line| line.strip_prefix("ARG BUILDER=")).context("no builder")?;
    ensure_eq!(workflow["jobs"]["reproduce"]["container"], json!(builder), "where it is built again");
    command(&workflow, "reproduce", "image/reproduce.sh > codeSha256.yaml")?;
    let compares = command(&workflow, "release", "diff functions/x86_64/codeSha256.yaml reproduced/codeSha256.yaml")?;
    let packs = compares.find("tar --create").context("the packages are not published")?;
    ensure!(compares.find("diff ").is_some_and(|at| at < packs), "they are published before they are compared");
    let needs = workflow["jobs"]["release"]["needs"].as_array().context("the release waits for nothing")?;
    ensure!(needs.contains(&json!("reproduce")), "the release does not wait for it: {needs:?}");
    Ok(())
}

#[test]
fn the_changelog_begins_with_the_version_of_the_crates() -> Result<()> {
    let changelog = std::fs::read_to_string(workspace::root().join("CHANGELOG.md"))?;
    let first = changelog.lines().find_map(|line| line.strip_prefix("## ")).context("no version")?;
    ensure_eq!(first, VERSION, "the newest version in CHANGELOG.md");
    Ok(())
}
