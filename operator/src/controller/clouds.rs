//! One connection to AWS for each account, region and role, shared by all stacks there.
//!
//! Hundreds of stacks may be in a place that refuses them. One of them asks, and the others hear how that has ended until
//! it is time to ask again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OnceCell};

use crate::arguments::Pacing;
use crate::cloud::aws::{Aws, Base};
use crate::cloud::{CloudError, Kind};
use crate::stack::Location;

pub(super) struct Clouds {
    region: String,
    endpoint_url: Option<String>,
    pacing: Pacing,
    base: OnceCell<Base>,
    /// A place each, so that one that does not answer holds up nobody else.
    places: Mutex<HashMap<Location, Arc<Place<Arc<Aws>>>>>,
}

impl Clouds {
    pub(super) fn new(region: String, endpoint_url: Option<String>, pacing: Pacing) -> Self {
        Self { region, endpoint_url, pacing, base: OnceCell::new(), places: Mutex::default() }
    }

    pub(super) async fn get(&self, location: &Location) -> Result<Arc<Aws>, CloudError> {
        let base = self.base.get_or_init(|| Base::load(&self.region, self.endpoint_url.as_deref())).await;
        let place = Arc::clone(self.places.lock().await.entry(location.clone()).or_default());
        place.enter(Instant::now(), || async { Aws::connect(base, location, self.pacing).await.map(Arc::new) }).await
    }
}

/// A place, once somebody is connected with it. Whoever comes meanwhile waits for the same answer.
struct Place<T>(Mutex<Known<T>>);

enum Known<T> {
    Nothing,
    Connected(T),
    /// When it was tried last, and what stood in the way.
    Refused(Instant, CloudError),
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self(Mutex::new(Known::Nothing))
    }
}

impl<T: Clone> Place<T> {
    async fn enter<F>(&self, now: Instant, connect: impl FnOnce() -> F) -> Result<T, CloudError>
    where
        F: Future<Output = Result<T, CloudError>>,
    {
        let mut known = self.0.lock().await;
        match &*known {
            Known::Connected(cloud) => return Ok(cloud.clone()),
            Known::Refused(at, error) if now.duration_since(*at) < lasts(error) => return Err(error.clone()),
            Known::Refused(..) | Known::Nothing => {}
        }
        let result = connect().await;
        *known = match &result {
            Ok(cloud) => Known::Connected(cloud.clone()),
            Err(error) => Known::Refused(now, error.clone()),
        };
        result
    }
}

/// For how long nobody else asks. STS's rate is the whole account's, and what it refuses stays so until somebody mends it;
/// what was not answered costs no rate.
const fn lasts(error: &CloudError) -> Duration {
    match error.kind {
        Kind::Unreachable | Kind::Internal => Duration::from_secs(5),
        _ => Duration::from_mins(1),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    fn refused(kind: Kind) -> CloudError {
        let (operation, resource) = ("GetCallerIdentity", String::new());
        CloudError { operation, resource, kind, code: "X".into(), message: "no".into() }
    }

    /// How often AWS is asked when ten stacks come each second for so long.
    async fn asked(kind: Kind, seconds: u64) -> usize {
        let (place, begin, asked) = (Place::<()>::default(), Instant::now(), AtomicUsize::new(0));
        for second in 0..seconds {
            let ten = (0..10).map(|_| {
                place.enter(begin + Duration::from_secs(second), || async {
                    asked.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Err(refused(kind))
                })
            });
            assert_eq!(join_all(ten).await, vec![Err(refused(kind)); 10]);
        }
        asked.into_inner()
    }

    #[tokio::test]
    async fn ten_stacks_in_a_place_that_refuses_them_ask_once_a_minute() {
        assert_eq!(asked(Kind::Denied, 150).await, 3);
        assert_eq!(asked(Kind::Throttled, 60).await, 1);
    }

    #[tokio::test]
    async fn a_place_that_does_not_answer_is_tried_again_soon() {
        assert_eq!(asked(Kind::Unreachable, 15).await, 3);
    }

    #[tokio::test]
    async fn who_is_connected_stays_so_for_all() {
        let (place, begin) = (Place::default(), Instant::now());
        let refuse = || async { Err(refused(Kind::Denied)) };
        assert!(place.enter(begin, refuse).await.is_err());
        assert_eq!(place.enter(begin + Duration::from_mins(1), || async { Ok(7) }).await, Ok(7));
        assert_eq!(place.enter(begin + Duration::from_hours(9), refuse).await, Ok(7));
    }
}
