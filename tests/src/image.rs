//! What the image adds to its base, laid out by the script that the Dockerfile runs, and used as in a cluster.
//!
//! The image itself is never built here, because there is nothing that could. So the base (glibc, certificates) is this
//! machine's.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use tempfile::TempDir;

use crate::guard::Program;
use crate::kubernetes::Kubernetes;
use crate::{Context, Result, ensure, workspace};

/// The user of the image, and of the chart's pods.
const USER: &str = "65532";

/// Makes `$1` a file system of its own that nobody can write to, and becomes the user `$2` without any privilege.
const AS_IN_A_POD: &str = r#"
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 101
if touch "$1/probe" 2>/dev/null; then exit 102; fi
user=$2; shift 2
exec setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs --bounding-set=-all "$@"
"#;

/// The files of an image, which go with the last who has them.
#[derive(Clone, Debug)]
pub struct Image(Arc<TempDir>);

impl Image {
    /// Lays out the programs of this build.
    pub fn lay_out() -> Result<Self> {
        Self::with_functions(&workspace::programs()?)
    }

    /// Lays out the operator of this build and the functions of another folder.
    pub fn with_functions(functions: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // Whoever the operator runs as comes to it through here.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let image = Self(Arc::new(folder));
        let output = lay_out(functions, &image.root())?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(image)
    }

    /// The top of what is laid out.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.0.path().join("image")
    }

    /// Where the packages are.
    #[must_use]
    pub fn functions(&self) -> PathBuf {
        self.root().join("functions")
    }

    /// Its operator, as nobody in particular who can write nothing of the image.
    pub fn operator(&self, name: &str) -> Result<Program> {
        let operator = self.root().join("usr/local/bin/sumu-operator");
        if std::fs::metadata("/proc/self")?.uid() == 0 {
            let shell = ["--mount", "sh", "-c", AS_IN_A_POD, "pod"];
            let pod = Program::new(name, "unshare").arguments(shell);
            return Ok(pod.argument(self.root()).arguments([USER]).argument(operator));
        }
        // Not `println!`, of which a test that passes shows nothing.
        let skipped = "not root: neither the mount that nobody can write to nor the change of the user was tried";
        writeln!(std::io::stderr(), "{skipped}")?;
        Ok(Program::new(name, operator))
    }

    /// A copy of a kubeconfig that needs no other file and that anybody can read.
    pub async fn kubeconfig(&self, kubernetes: &Kubernetes, of: &Path) -> Result<PathBuf> {
        let of = of.to_str().context("a path that is no text")?;
        let flat = ["config", "view", "--flatten", "--raw", "--output=json", "--kubeconfig", of];
        let path = self.0.path().join("kubeconfig");
        std::fs::write(&path, kubernetes.kubectl_ok(&flat, "").await?)?;
        Ok(path)
    }
}

/// Runs the script.
pub fn lay_out(functions: &Path, to: &Path) -> Result<Output> {
    let operator = workspace::program("sumu-operator")?;
    let functions = format!("{}={}", workspace::architecture(), functions.display());
    Ok(Command::new(workspace::root().join("image/layout.sh"))
        .args([operator.as_os_str(), operator.as_os_str(), to.as_os_str()])
        .arg(functions)
        .output()?)
}

/// Fails when a program is root, or could become it again.
pub fn ensure_is_not_root(pid: u32) -> Result<()> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).context("no user")?;
    ensure!(!user.split_whitespace().any(|id| id == "0"), "it is root: {user}");
    Ok(())
}
