//! The folder of one run: what its programs write, and their logs.
//!
//! It is removed when the run is over, and the run is over when this process has ended, however it did; so a
//! small shell outside of this process does it. After a failure the logs stay.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use crate::Result;
use crate::guard::{Guarded, Program};

// A program that still ends would write again what is removed under its feet.
const JANITOR: &str = r#"
read -r _
for _ in {1..100}; do
    busy=
    while read -r pid; do kill -0 "$pid" && busy=yes; done <"$1/pids"
    [ "$busy" ] || break
    sleep 0.1
done
if [ -e "$1/keep" ]; then rm -rf "$1/data"; else rm -rf "$1"; fi
"#;

/// The folder of one run.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    // Waits for the end of its input, which is the end of this process.
    janitor: Child,
}

impl Folder {
    /// Makes a folder in the system's folder for temporary files.
    pub fn new() -> Result<Self> {
        let path = tempfile::Builder::new().prefix("sumu-testbed-").disable_cleanup(true).tempdir()?.keep();
        for part in ["data", "logs"] {
            std::fs::create_dir(path.join(part))?;
        }
        std::fs::write(path.join("pids"), "")?;
        let janitor = Command::new("bash")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { path, janitor })
    }

    /// Where the logs are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// A new folder for something's files.
    pub fn data(&self, name: &str) -> Result<PathBuf> {
        let data = self.path.join("data").join(name);
        std::fs::create_dir_all(&data)?;
        Ok(data)
    }

    /// Starts a program that logs here, and makes the removal of the folder wait for its end.
    pub fn start(&self, program: &Program) -> Result<Guarded> {
        let guarded = program.start(&self.logs())?;
        let mut pids = OpenOptions::new().append(true).open(self.path.join("pids"))?;
        writeln!(pids, "{}", guarded.shell_pid())?;
        Ok(guarded)
    }

    /// Keeps the logs after the run and says where they are.
    pub fn keep(&self) {
        keep(&self.path);
    }

    /// Keeps the logs when any test of this process panics.
    pub fn keep_after_a_panic(&self) {
        let path = self.path.clone();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            keep(&path);
        }));
    }

    /// The janitor's process id.
    #[must_use]
    pub fn janitor(&self) -> u32 {
        self.janitor.id()
    }
}

fn keep(path: &Path) {
    static SAID: Once = Once::new();
    // When this fails too, the first failure is still the one to read.
    let _ = std::fs::write(path.join("keep"), "");
    SAID.call_once(|| eprintln!("the logs of this run are kept in {}", path.join("logs").display()));
}
