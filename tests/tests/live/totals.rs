//! What stacks cost, over all tests of the run. Times are told and not tested: they are the machine's as well.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use sumu_tests::gateway::Seen;
use sumu_tests::gateway::call::Service;
use sumu_tests::operator::Pass;
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, scene};

/// The most calls that read from AWS in a pass over a stack that is as it should be.
pub const READS_MAX: u64 = 50;
/// The same when only what changes at all often is read.
const GLANCE_READS_MAX: u64 = 25;
/// So many that a look at everything is among them, and glances.
const LOOKS: usize = 8;

/// When a stack was applied, and when it was Ready.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub applied: Instant,
    pub ready: Option<Instant>,
}

/// What one test's stack has cost.
#[derive(Clone, Debug)]
struct Cost {
    namespace: String,
    ready_seconds: f64,
    settled_reads: u64,
    memory_kib: u64,
}

static COSTS: Mutex<Vec<Cost>> = Mutex::new(Vec::new());

/// Notes what a stack has cost.
pub fn record(namespace: &str, measured: &Measured, passes: &[Pass], memory_kib: u64) {
    let settled = passes.iter().rfind(|pass| pass.settled);
    let (Some(ready), Some(settled)) = (measured.ready, settled) else { return };
    let ready_seconds = (ready - measured.applied).as_secs_f64();
    let namespace = namespace.to_owned();
    costs().push(Cost { namespace, ready_seconds, settled_reads: settled.aws_reads, memory_kib });
}

/// Fails unless each pass but the first has made exactly the calls that it tells of, none of which is a write.
///
/// A stack is looked at once at a time, so what has come between the ends of two passes is the second one's.
pub fn are_counted_at_the_wire(scene: &Scene, passes: &[Pass]) -> Result<()> {
    if scene.testbed.aws().account().is_some() {
        // There is no gateway before a real account.
        return Ok(());
    }
    let now = (SystemTime::now(), Instant::now());
    // Whoever is the first to need credentials asks for all.
    let seen: Vec<Seen> = scene.testbed.aws().gateway().seen(scene.key());
    let seen: Vec<&Seen> = seen.iter().filter(|seen| seen.service != Service::Sts).collect();
    for two in passes.windows(2) {
        let [before, pass] = two else { continue };
        let (from, until) = (ended(before)?, ended(pass)?);
        let its = seen.iter().filter(|seen| (from..until).contains(&(now.0 - (now.1 - seen.at))));
        let (reads, writes): (Vec<&Seen>, Vec<&Seen>) = its.copied().partition(|seen| seen.is_read);
        ensure!(writes.is_empty(), "{writes:?} went out in {}", pass.line);
        ensure_eq!(u64::try_from(reads.len())?, pass.aws_reads, "reads that went out, and those of {}", pass.line);
    }
    ensure!(passes.len() > 1 && !seen.is_empty(), "nothing was compared");
    Ok(())
}

/// When a pass was over.
fn ended(pass: &Pass) -> Result<SystemTime> {
    let timestamp: Timestamp = pass.line["timestamp"].as_str().context("no timestamp")?.parse()?;
    Ok(timestamp.into())
}

fn costs() -> std::sync::MutexGuard<'static, Vec<Cost>> {
    COSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

// Tests begin in the order of their names, and this module's is the last.
#[test]
fn a_settled_stack_costs_no_write_and_few_reads() -> Result<()> {
    scene("totals").resync_seconds(1).play(async |scene| {
        let mut glances = 0;
        let looks = scene.more_passes(LOOKS).await?;
        are_counted_at_the_wire(scene, &looks)?;
        for pass in looks {
            ensure!(pass.settled, "not settled: {}", pass.line);
            ensure_eq!(pass.aws_writes, 0, "writes to AWS in {}", pass.line);
            let is_whole = pass.line["whole_look"].as_bool().context("it does not say what was looked at")?;
            glances += usize::from(!is_whole);
            let most = if is_whole { READS_MAX } else { GLANCE_READS_MAX };
            ensure!((1..=most).contains(&pass.aws_reads), "{} reads in {}", pass.aws_reads, pass.line);
        }
        ensure!((1..LOOKS).contains(&glances), "{glances} of {LOOKS} looks were glances");
        Ok(())
    })?;
    let costs = costs().clone();
    ensure!(costs.iter().any(|cost| cost.namespace.starts_with("totals")), "this stack was not measured: {costs:?}");
    let table = table(&costs)?;
    // Past the capture of the test's output, which is shown only when a test has failed.
    std::io::stderr().write_all(table.as_bytes())?;
    Ok(())
}

fn table(costs: &[Cost]) -> Result<String> {
    let seconds = row(costs.iter().map(|cost| format!("{:7.1}", cost.ready_seconds)))?;
    let reads = row(costs.iter().map(|cost| format!("{:7}", cost.settled_reads)))?;
    let memory = row(costs.iter().map(|cost| format!("{:7}", cost.memory_kib)))?;
    let count = costs.len();
    Ok(format!(
        "\n{count} stacks                         least  median    most\n\
         from apply to Ready, seconds   {seconds}\n\
         AWS reads in a settled pass    {reads}\n\
         operator's memory, KiB         {memory}\n\n"
    ))
}

/// The least, the middle and the greatest of some numbers of one width.
fn row(numbers: impl Iterator<Item = String>) -> Result<String> {
    let mut numbers: Vec<String> = numbers.collect();
    numbers.sort_unstable();
    let least = numbers.first().context("nothing was measured")?;
    let most = numbers.last().context("nothing was measured")?;
    Ok(format!("{least} {} {most}", numbers[numbers.len() / 2]))
}
