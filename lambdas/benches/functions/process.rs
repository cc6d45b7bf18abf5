//! What the kernel knows of a process.

use std::fs;
use std::io;
use std::time::Duration;

/// The processor time of a process from now on.
#[derive(Debug)]
pub struct CpuTime {
    process: u32,
    before: Duration,
}

impl CpuTime {
    /// Begins to measure.
    pub fn of(process: u32) -> io::Result<Self> {
        Ok(Self { process, before: cpu_time(process)? })
    }

    /// As [`CpuTime::of`], of this process.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// What was used since.
    pub fn used(&self) -> io::Result<Duration> {
        Ok(cpu_time(self.process)?.saturating_sub(self.before))
    }
}

/// How long its threads have been on a processor. Those that have ended are not counted; the functions have one.
fn cpu_time(process: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let times = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += times.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The most memory it has had at once, in MiB, with the pages of its executable.
#[expect(clippy::cast_precision_loss, reason = "for the eye")]
pub fn peak_memory_mib(process: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let kib: u64 = peak.and_then(|kib| kib.trim().parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(kib as f64 / 1024.0)
}
