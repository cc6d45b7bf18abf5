//! Waiting: the only place in the tests that lets time pass.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Error, Result, account};

/// How long something may take that usually takes a moment.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How many times as long as on the testbed everything may take in a real account.
const PATIENCE_WITH_AN_ACCOUNT: u32 = 4;

/// How many times as long everything may take, for a machine that has much else to do: a number.
const PATIENCE_FACTOR: &str = "SUMU_TEST_PATIENCE";

/// Between two looks.
pub const PAUSE: Duration = Duration::from_millis(100);
const BLINK: Duration = Duration::from_millis(2);

/// Looks again and again until `look` succeeds, and says at the deadline what was awaited and what was seen last.
///
/// A look that fails means "not yet"; its error is what the reader gets to see if it stays that way.
/// A look that hangs is cut off at the deadline too.
pub async fn eventually<T>(within: Duration, what: &str, look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    look_every(PAUSE, within, what, look).await
}

/// The same for what is over in a moment, such as a chance to kill somebody: hardly a pause between two looks.
pub async fn eagerly<T>(within: Duration, what: &str, look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    look_every(BLINK, within, what, look).await
}

async fn look_every<T>(
    pause: Duration,
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let within = patient(within);
    let deadline = Instant::now() + within;
    let mut last = Error::new("nothing was seen before the deadline");
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(seen)) => return Ok(seen),
            Ok(Err(not_yet)) => last = not_yet,
            Err(_) => return Err(last.within(format!("waited {within:?} for {what}, the last look hung; before it"))),
        }
        if Instant::now() + pause >= deadline {
            return Err(last.within(format!("waited {within:?} for {what}; last seen")));
        }
        sleep(pause).await;
    }
}

/// How long something may take here that takes so long on the testbed.
#[must_use]
pub fn patient(time: Duration) -> Duration {
    let account = if std::env::var_os(account::RUN).is_some() { PATIENCE_WITH_AN_ACCOUNT } else { 1 };
    let machine = std::env::var(PATIENCE_FACTOR).ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    time * account * machine
}

/// Lets time pass: what an AWS does that is slow.
pub async fn pass(time: Duration) {
    sleep(time).await;
}

/// Ends a future that takes too long with an error that names it.
pub async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::new(format!("{what} took longer than {limit:?}"))),
    }
}

/// Ports that were free a moment ago, all different.
///
/// Another program may take one before ours does, so whoever starts a server on one tries again when that fails.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All are held until all are known, or the system could hand out one of them twice.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
