//! Whether the operator was told to stop. Whoever works asks before each step, and ends what can be left at any moment.

use tokio::sync::watch;

/// Knows whether the operator was told to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Tells everybody to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Somebody who can tell, and somebody who is told.
#[must_use]
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Tells it, once and for all.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Somebody who is never told.
    #[must_use]
    pub fn never() -> Self {
        channel().1
    }

    /// Whether it was told.
    #[must_use]
    pub fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when it is told.
    pub async fn told(&self) {
        let mut told = self.0.clone();
        if told.wait_for(|told| *told).await.is_err() {
            // Nobody can tell any more.
            std::future::pending::<()>().await;
        }
    }
}
