//! Child processes that cannot outlive the process that started them, however that one ends.
//!
//! # How
//! The child runs under a small shell that holds the reading end of a pipe. The writing end is ours: when we
//! close it, exit, or are killed, the system closes it and the shell reads the end of the file. It then asks the
//! child to end (TERM), and ends it and everything that it started (KILL) when it has not after five seconds.
//! When the child ends by itself, the shell ends with its code.
//!
//! # Guarantees
//! - No process of the child's group outlives the shell.
//! - Ctrl-C in a terminal does not reach the child before us: shell and child have process groups of their own.
//!
//! # Assumptions
//! `bash` and `kill` are on the PATH; a child that leaves its process group is on its own.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use crate::{Context, Error, Result};

// `set -m` gives each background job its own process group, so that the whole group can be ended.
const SHELL: &str = r#"
set -m
log=$1; shift
exec 3<&0
"$@" 3<&- </dev/null >>"$log" 2>&1 &
child=$!
echo "$child"
exec >/dev/null 2>&1
(
    read -r _ <&3
    kill -TERM "$child"
    for _ in {1..50}; do kill -0 "$child" || exit; sleep 0.1; done
    kill -KILL -- "-$child"
) &
watcher=$!
wait "$child"; code=$?
kill -KILL -- "-$watcher" "-$child"
exit "$code"
"#;

/// A program to start, and its surroundings.
#[derive(Clone, Debug)]
pub struct Program {
    name: String,
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    clean: bool,
}

impl Program {
    /// A program; `name` is its word in messages and the name of its log file.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: path.into(), arguments: Vec::new(), environment: Vec::new(), clean: false }
    }

    /// Adds one argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets more variables of its environment.
    #[must_use]
    pub fn variables(self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        variables.into_iter().fold(self, |program, (name, value)| program.variable(name, value))
    }

    /// Gives the program nothing of our environment but the PATH.
    #[must_use]
    pub const fn clean_environment(mut self) -> Self {
        self.clean = true;
        self
    }

    /// Starts the program; what it prints goes to `<name>.log` in the folder, after what is there already.
    pub fn start(&self, logs: &Path) -> Result<Guarded> {
        let log = logs.join(format!("{}.log", self.name));
        self.spawn(&log).with_context(|| format!("cannot start {} ({})", self.name, self.path.display()))
    }

    fn spawn(&self, log: &Path) -> Result<Guarded> {
        let errors: File = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new("bash");
        command.arg("-c").arg(SHELL).arg(&self.name).arg(log).arg(&self.path).args(&self.arguments);
        if self.clean {
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).process_group(0);

        let mut shell = command.spawn()?;
        let lifeline = shell.stdin.take();
        let mut pid = String::new();
        let output = shell.stdout.take().context("the shell has no output")?;
        BufReader::new(output).read_line(&mut pid)?;
        let pid = pid.trim().parse().with_context(|| format!("the shell said {pid:?} instead of a process id"))?;
        Ok(Guarded { name: self.name.clone(), shell, lifeline, pid, log: log.to_owned() })
    }
}

/// A running program; dropping it ends the program.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    shell: Child,
    lifeline: Option<ChildStdin>,
    pid: u32,
    log: PathBuf,
}

impl Guarded {
    /// The process id of the program itself.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// The process id of the shell around it.
    #[must_use]
    pub fn shell_pid(&self) -> u32 {
        self.shell.id()
    }

    /// Where the program's output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How the program ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.shell.try_wait()?)
    }

    /// Fails with the end of the log when the program has ended.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(Error::new(format!(
                "{} ended with {status}; the end of {}:\n{}",
                self.name,
                self.log.display(),
                tail(&self.log)
            ))),
        }
    }

    /// Kills the program at once, as a crash would, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if self.ended()?.is_none() {
            // May fail only because the program has just ended, which is what was wanted.
            Command::new("kill").args(["-KILL", "--", &format!("-{}", self.pid)]).stderr(Stdio::null()).status()?;
            self.wait()?;
        }
        Ok(())
    }

    /// Asks the program to end and waits until it has; after five seconds it is killed.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.lifeline = None;
        self.wait()
    }

    /// Waits until the program ends by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        // `Child::wait` closes the pipe, which would end the program; so the pipe is not the child's any more.
        Ok(self.shell.wait()?)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The shell ends within its five seconds, and there is nobody to tell when it does not.
        let _ = self.terminate();
    }
}

/// The last lines of a log.
#[must_use]
pub fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
