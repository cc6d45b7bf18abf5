//! A broadcast to a million connections by ten workers, each of which is killed once on the way.
//!
//! The bench is the event source: it hands the items of the queue to whoever is free, and those of a dead worker to
//! another, as SQS does when a message's visibility timeout has passed.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::function::Function;
use super::posts::{data, event, pusher_environment};
use super::stand_in::{Seen, StandIn};
use super::table;

type Failure = Box<dyn Error + Send + Sync>;

const CONNECTIONS: usize = 1_000_000;

const WORKERS: u32 = 10;

/// The operator's default.
const MAX_RATE: u32 = 7_000;

/// The rows of a page, all of which a killed worker may have posted to.
const PAGE_ROWS: u64 = 1_000;

/// Prints the table; an error when something was lost, repeated too often or too fast.
pub async fn run() -> Result<(), Failure> {
    let undisturbed = broadcast(false).await?;
    let killed = broadcast(true).await?;
    let line = |name: &str, run: &Run| {
        let Run { took, kills, seen } = run;
        [
            name.to_owned(),
            kills.to_string(),
            seen.missed.to_string(),
            seen.repeated.to_string(),
            seen.most_in_a_second.to_string(),
            (seen.most_in_ten_seconds / 10).to_string(),
            format!("{:.0}", took.as_secs_f64()),
        ]
    };
    let title = format!("A broadcast to {CONNECTIONS} connections by {WORKERS} workers, maxRate {MAX_RATE}");
    let columns = ["", "killed", "lost", "repeated", "most posts in a second", "of ten, a second", "took (s)"];
    table::print(&title, columns, &[line("undisturbed", &undisturbed), line("every worker killed once", &killed)]);
    for Run { kills, seen, .. } in [&undisturbed, &killed] {
        // What is counted is when posts arrive. On a busy machine those of one second are seen in the next.
        let too_fast = seen.most_in_ten_seconds > 10 * MAX_RATE as usize;
        if seen.missed > 0 || seen.repeated > kills * PAGE_ROWS || too_fast {
            return Err(format!("not as promised: {seen:?} after {kills} kills").into());
        }
    }
    Ok(())
}

/// What came of one broadcast.
struct Run {
    took: Duration,
    kills: u64,
    seen: Seen,
}

async fn broadcast(kill: bool) -> Result<Run, Failure> {
    let stand_in = StandIn::start(CONNECTIONS, Duration::ZERO, Duration::ZERO).await?;
    let mut first = start(&stand_in).await?;
    let request = json!({"target": {"broadcast": true}, "data": data()}).to_string();
    first.invoke(event("notifications", [request])).await?;
    drop(first);
    let started = Instant::now();
    let under_way = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| tokio::spawn(work(Arc::clone(&stand_in), Arc::clone(&under_way), kill.then_some(number))))
        .collect();
    let mut kills = 0;
    for worker in workers {
        kills += worker.await??;
    }
    Ok(Run { took: started.elapsed(), kills, seen: stand_in.seen() })
}

async fn start(stand_in: &StandIn) -> Result<Function, Failure> {
    Ok(Function::start(env!("CARGO_BIN_EXE_pusher"), &[], &pusher_environment(stand_in, MAX_RATE, WORKERS)).await?)
}

/// One worker until nothing is left; how often it was killed.
async fn work(stand_in: Arc<StandIn>, under_way: Arc<AtomicUsize>, kill: Option<u32>) -> Result<u64, Failure> {
    let mut function = start(&stand_in).await?;
    // Each dies at another moment of its page: a page takes about a second and a half.
    let mut die_after = kill.map(|number| Duration::from_secs(5) + Duration::from_millis(137) * number);
    let mut kills = 0;
    let begun = Instant::now();
    loop {
        under_way.fetch_add(1, Ordering::SeqCst);
        let Some(item) = stand_in.receive("pushes") else {
            // Somebody may still put the next item of what he has in hand.
            if under_way.fetch_sub(1, Ordering::SeqCst) == 1 && stand_in.waiting("pushes") == 0 {
                return Ok(kills);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let invocation = function.invoke(event("pushes", [item.body.clone()]));
        let death = async {
            match die_after {
                Some(after) => tokio::time::sleep(after.saturating_sub(begun.elapsed())).await,
                None => std::future::pending().await,
            }
        };
        let answered = tokio::select! {
            answer = invocation => Some(answer?),
            () = death => None,
        };
        match answered {
            Some(answer) if answer == json!({"batchItemFailures": []}) => {}
            Some(answer) => return Err(format!("a worker answered {answer}").into()),
            None => {
                function.kill().await?;
                (die_after, kills) = (None, kills + 1);
                stand_in.make_visible("pushes", item);
                function = start(&stand_in).await?;
            }
        }
        under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
