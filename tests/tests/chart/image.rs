//! What the image adds to its base, laid out by the script that the Dockerfile runs, and used as in a cluster.
//!
//! The image itself is never built here, because there is nothing that could. So the base (glibc, certificates) is this
//! machine's.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sumu_operator::packages::hashes;
use sumu_tests::guard::Program;
use sumu_tests::kubernetes::Kubernetes;
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually, workspace};

use crate::cluster::{Cluster, NAMESPACE, RELEASE, run, text};

/// The user of the image, and of the chart's pods.
const USER: &str = "65532";

/// Makes `$1` a file system of its own that nobody can write to, and becomes the user `$2` without any privilege.
const AS_IN_A_POD: &str = r#"
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 101
if touch "$1/probe" 2>/dev/null; then exit 102; fi
user=$2; shift 2
exec setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs --bounding-set=-all "$@"
"#;

/// Lays the image out from the programs of this build.
fn lay_out(to: &Path) -> Result<Output> {
    let operator = workspace::program("sumu-operator")?;
    let built = operator.parent().context("the operator is in no folder")?;
    let functions = format!("{}={}", workspace::architecture(), built.display());
    Ok(Command::new(workspace::root().join("image/layout.sh"))
        .args([operator.as_os_str(), operator.as_os_str(), to.as_os_str()])
        .arg(functions)
        .output()?)
}

fn laid_out(to: &Path) -> Result<()> {
    let output = lay_out(to)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Every file below a folder, by its path there.
fn files(top: &Path) -> Result<BTreeMap<String, PathBuf>> {
    fn walk(folder: &Path, top: &Path, found: &mut BTreeMap<String, PathBuf>) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                walk(&path, top, found)?;
            } else {
                found.insert(path.strip_prefix(top)?.display().to_string(), path);
            }
        }
        Ok(())
    }
    let mut found = BTreeMap::new();
    walk(top, top, &mut found)?;
    Ok(found)
}

#[test]
fn the_image_has_the_operator_and_the_packages_where_it_looks_for_them_and_the_same_ones_each_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    laid_out(&first)?;
    laid_out(&second)?;
    let (one, other) = (files(&first)?, files(&second)?);
    let mut expected = vec!["usr/local/bin/sumu-operator".to_owned()];
    for function in ["authorizer", "pusher", "routes", "watchdog"] {
        expected.push(format!("functions/{}/{function}.zip", workspace::architecture()));
    }
    expected.push(format!("functions/{}/codeSha256.yaml", workspace::architecture()));
    expected.sort_unstable();
    ensure_eq!(one.keys().cloned().collect::<Vec<_>>(), expected, "the files");
    for (name, path) in &one {
        let again = other.get(name).with_context(|| format!("{name} is missing"))?;
        ensure!(std::fs::read(path)? == std::fs::read(again)?, "{name} is another one the second time");
        let (data, data_again) = (std::fs::metadata(path)?, std::fs::metadata(again)?);
        ensure_eq!(data.mtime(), data_again.mtime(), "the time of {name}");
        ensure_eq!(data.permissions().mode() & 0o222, 0, "who may write {name}");
    }
    let functions = first.join("functions");
    let told = std::fs::read_to_string(functions.join(workspace::architecture()).join("codeSha256.yaml"))?;
    let architecture = serde_json::from_value(workspace::architecture().into())?;
    ensure_eq!(told, hashes(&functions, architecture)?, "the hashes beside the packages");
    Ok(())
}

#[test]
fn what_is_there_already_is_not_mixed_with_what_is_new() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output = lay_out(folder.path())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success() && said.contains("is there already: remove it"), "it said {said}");
    Ok(())
}

/// The programs and libraries of a workspace, each by its package, and whether its source is there.
fn targets(workspace: &Path) -> Result<BTreeMap<String, bool>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Command::new(cargo)
        .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(workspace)
        .output()?;
    ensure!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        for target in package["targets"].as_array().context("no targets")? {
            let kind = &target["kind"][0];
            if kind == "bin" || kind == "lib" {
                let source = target["src_path"].as_str().context("no source")?;
                found.insert(format!("{} {kind} {}", package["name"], target["name"]), Path::new(source).is_file());
            }
        }
    }
    Ok(found)
}

/// What its layer of dependencies is made of must be enough for Cargo, or the image cannot be built.
#[test]
fn the_dockerfile_copies_every_manifest_and_has_a_stub_for_every_target() -> Result<()> {
    let (root, folder) = (workspace::root(), tempfile::tempdir()?);
    let dockerfile = std::fs::read_to_string(root.join("Dockerfile"))?;
    let (before, _) = dockerfile.split_once("COPY . .").context("the sources are not copied")?;
    let mut copied = 0;
    for line in before.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let (sources, to) = line.rsplit_once(' ').context("a COPY of nothing")?;
        for source in sources.split(' ') {
            let name = Path::new(source).file_name().context("no name")?;
            std::fs::create_dir_all(folder.path().join(to))?;
            std::fs::copy(root.join(source), folder.path().join(to).join(name))?;
            copied += 1;
        }
    }
    ensure!(copied >= 7, "only {copied} files were copied");
    let stubs = Command::new("image/stubs.sh").current_dir(folder.path()).output()?;
    ensure!(stubs.status.success(), "{}", String::from_utf8_lossy(&stubs.stderr));
    let real = targets(&root)?;
    ensure!(real.len() >= 12 && real.values().all(|is_there| *is_there), "found were {real:?}");
    ensure_eq!(targets(folder.path())?, real, "what Cargo would build");
    Ok(())
}

/// A kubeconfig of the chart's service account that needs no other file and that anybody can read.
async fn kubeconfig(kubernetes: &Kubernetes, to: &Path) -> Result<PathBuf> {
    let identity = kubernetes.kubeconfig_of(NAMESPACE, RELEASE).await?;
    let flat = ["config", "view", "--flatten", "--raw", "--output=json", "--kubeconfig", text(&identity)?];
    let path = to.join("kubeconfig");
    std::fs::write(&path, kubernetes.kubectl_ok(&flat, "").await?)?;
    Ok(path)
}

fn is_root() -> Result<bool> {
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

#[test]
fn the_operator_runs_from_the_images_files_as_nobody_and_writes_nothing() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let image = folder.path().join("image");
        laid_out(&image)?;
        let kubeconfig = kubeconfig(&cluster.kubernetes, folder.path()).await?;
        let operator = image.join("usr/local/bin/sumu-operator");
        // Without root nothing can be mounted, but then the operator is nobody in particular all the same.
        let program = if is_root()? {
            let shell = ["--mount", "sh", "-c", AS_IN_A_POD, "pod"];
            Program::new("image", "unshare").arguments(shell).argument(&image).arguments([USER]).argument(&operator)
        } else {
            // Not `println!`, of which a test that passes shows nothing.
            let skipped = "not root: neither the mount that nobody can write to nor the change of the user was tried";
            writeln!(std::io::stderr(), "{skipped}")?;
            Program::new("image", &operator)
        };
        let program = program
            .arguments(["run", "--metrics-address", "127.0.0.1:0", "--functions-dir"])
            .argument(image.join("functions"))
            .clean_environment()
            .variable("KUBECONFIG", kubeconfig);
        let mut operator = program.start(folder.path())?;
        eventually(PATIENCE, "the operator to start", async || {
            operator.ensure_running()?;
            ensure!(std::fs::read_to_string(operator.log())?.contains("operator started"), "it has not said so");
            Ok(())
        })
        .await?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", operator.pid()))?;
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).context("no user")?;
        ensure!(!user.split_whitespace().any(|id| id == "0"), "it is root: {user}");
        ensure!(operator.terminate()?.success(), "it did not end well");
        Ok(())
    })
}
