//! What the image adds to its base, how it comes about, and that it runs where the chart runs it.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sumu_operator::packages::hashes;
use sumu_tests::image::{self, Image};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually, workspace};

use crate::cluster::{Cluster, NAMESPACE, RELEASE, run};

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
    let (first, second) = (Image::lay_out()?, Image::lay_out()?);
    let (one, other) = (files(&first.root())?, files(&second.root())?);
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
    let functions = first.functions();
    let told = std::fs::read_to_string(functions.join(workspace::architecture()).join("codeSha256.yaml"))?;
    let architecture = serde_json::from_value(workspace::architecture().into())?;
    ensure_eq!(told, hashes(&functions, architecture)?, "the hashes beside the packages");
    Ok(())
}

#[test]
fn what_is_there_already_is_not_mixed_with_what_is_new() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output = image::lay_out(&workspace::programs()?, folder.path())?;
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

/// Stands in for Cargo: "builds" a crate of a registry, and what a build script has generated, as Cargo would.
const CARGO: &str = r#"#!/bin/sh
echo "$*" >>"$CARGO_TARGET_DIR/asked"
[ "$1" = build ] || exit 0
IFS=$(printf '\037')
GENERATED="$CARGO_TARGET_DIR/generated.rs" exec rustc $CARGO_ENCODED_RUSTFLAGS --edition=2024 -Cstrip=symbols $LINKER \
    -o "$CARGO_TARGET_DIR/program" "$CARGO_HOME"/registry/src/*/some-1.0.0/main.rs
"#;
const CRATE: &str =
    r#"fn main() { if std::env::args().len() > 1 { include!(env!("GENERATED")) } else { panic!("here") } }"#;

/// What image/build.sh makes of a crate when everything is in `folder`, and what it asks Cargo for. `linker` is how Cargo
/// names the linker, when one was named to it.
fn built_in(folder: &Path, linker: &str) -> Result<(Vec<u8>, String)> {
    let (home, target, bin) = (folder.join("home"), folder.join("target"), folder.join("bin"));
    let registry = home.join("registry/src").join(folder.file_name().context("no name")?);
    for made in [&registry.join("some-1.0.0"), &target, &bin] {
        std::fs::create_dir_all(made)?;
    }
    std::fs::write(registry.join("some-1.0.0/main.rs"), CRATE)?;
    std::fs::write(target.join("generated.rs"), r#"panic!("there")"#)?;
    for (name, program) in [("cargo", CARGO), ("some-gcc", "#!/bin/sh\nexec cc \"$@\"\n")] {
        std::fs::write(bin.join(name), program)?;
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755))?;
    }
    let path = std::env::var("PATH")?;
    let output = Command::new(workspace::root().join("image/build.sh"))
        .args(["one-target", "another-target"])
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("CARGO_HOME", &home)
        .env("CARGO_TARGET_DIR", &target)
        .env("LINKER", linker)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok((std::fs::read(target.join("program"))?, std::fs::read_to_string(target.join("asked"))?))
}

#[test]
fn what_is_shipped_is_the_same_wherever_it_is_built_and_does_not_tell_where() -> Result<()> {
    let named = |name| tempfile::Builder::new().prefix(name).tempdir();
    let (one, other) = (named("one")?, named("another with spaces ")?);
    let ((program, asked), (again, _)) = (built_in(one.path(), "")?, built_in(other.path(), "-Clinker=some-gcc")?);
    let has = |words: &str| program.windows(words.len()).any(|window| window == words.as_bytes());
    for told in ["/crates/some-1.0.0/main.rs", "/sumu/target/generated.rs"] {
        ensure!(has(told), "a panic does not tell {told}");
    }
    let folder = one.path().canonicalize()?;
    ensure!(!has(&folder.display().to_string()), "it tells that it was built in {}", folder.display());
    ensure!(program == again, "it is another one in another place");
    let targets = "--target one-target --target another-target";
    let build = "build --release --locked --package sumu-operator --package sumu-lambdas --bins";
    ensure_eq!(asked, format!("fetch --locked --quiet {targets}\n{build} {targets}\n"), "what Cargo is asked for");
    Ok(())
}

/// What is built in another way has other bytes.
#[test]
fn what_is_shipped_is_built_by_the_one_script_alone() -> Result<()> {
    let root = workspace::root();
    let mut uses = BTreeMap::new();
    for (name, path) in files(&root.join("image"))?
        .into_iter()
        .chain(files(&root.join(".github"))?)
        .chain([("Makefile".to_owned(), root.join("Makefile")), ("Dockerfile".to_owned(), root.join("Dockerfile"))])
    {
        let text = std::fs::read_to_string(path)?;
        let lines = || text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.starts_with("COPY"));
        let builds = lines().filter(|line| line.contains("cargo") && line.contains("--release")).count();
        ensure_eq!(builds, usize::from(name == "build.sh"), "release builds in {name}");
        ensure!(lines().all(|line| name == "build.sh" || !line.contains("RUSTFLAGS=")), "{name} has flags of its own");
        uses.insert(name, lines().filter(|line| line.contains("image/build.sh")).count());
    }
    // `make functions` and `make image-root`; what the image's sources depend on, and they.
    for (name, count) in [("Makefile", 2), ("Dockerfile", 2), ("reproduce.sh", 1)] {
        ensure_eq!(uses.get(name), Some(&count), "how often {name} builds what is shipped");
    }
    Ok(())
}

#[test]
fn the_operator_runs_from_the_images_files_as_nobody_and_writes_nothing() -> Result<()> {
    let cluster = Cluster::shared()?;
    run(async {
        let image = Image::lay_out()?;
        let kubernetes = &cluster.kubernetes;
        let identity = kubernetes.kubeconfig_of(NAMESPACE, RELEASE).await?;
        let program = image
            .operator("image")?
            .arguments(["run", "--metrics-address", "127.0.0.1:0", "--functions-dir"])
            .argument(image.functions())
            .clean_environment()
            .variable("KUBECONFIG", image.kubeconfig(kubernetes, &identity).await?);
        let logs = tempfile::tempdir()?;
        let mut operator = program.start(logs.path())?;
        eventually(PATIENCE, "the operator to start", async || {
            operator.ensure_running()?;
            ensure!(std::fs::read_to_string(operator.log())?.contains("operator started"), "it has not said so");
            Ok(())
        })
        .await?;
        image::ensure_is_not_root(operator.pid())?;
        ensure!(operator.terminate()?.success(), "it did not end well");
        Ok(())
    })
}
