//! `make bench`: what the functions cost, each next to something that does the same, in one run.
//!
//! The subjects are the real programs, each in a process of its own; the Runtime API, API Gateway, `DynamoDB` and SQS are
//! this process (see [`stand_in`]). Processor time and memory are the kernel's numbers for the subject's process.
//! Absolute numbers are this machine's: compare the rows of one run.

mod authorizer;
mod broadcast;
mod function;
mod memory;
mod posts;
mod process;
mod stand_in;
mod start;
mod subject;
mod subjects;
mod table;
mod watchdog;

use std::error::Error;

/// What can be measured, by its name on the command line.
const BENCHES: [&str; 6] = ["start", "authorizer", "posts", "watchdog", "memory", "broadcast"];

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // `cargo bench` says `--bench`; names choose, and none means all.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let current = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    if let Some((first, rest)) = arguments.split_first()
        && first == "subject"
    {
        return current()?.block_on(subjects::run(rest));
    }
    if let Some(unknown) = arguments.iter().find(|name| !BENCHES.contains(&name.as_str())) {
        return Err(format!("no bench is called {unknown}; there are {}", BENCHES.join(", ")).into());
    }
    let wanted = BENCHES.into_iter().filter(|name| arguments.is_empty() || arguments.iter().any(|of| of == name));
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for bench in wanted {
        match bench {
            "start" => servers.block_on(start::run())?,
            "authorizer" => current()?.block_on(authorizer::run())?,
            "posts" => servers.block_on(posts::run())?,
            "watchdog" => servers.block_on(watchdog::run())?,
            "memory" => servers.block_on(memory::run())?,
            _ => servers.block_on(broadcast::run())?,
        }
    }
    Ok(())
}
