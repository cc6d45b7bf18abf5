//! Reads that are denied. What is looked at side by side goes on without each other, so that the rights that are missing come
//! to light together and not one by one.

use futures::future::try_join_all;

use super::unexpected;
use crate::cloud::{CloudError, Kind};

/// What a lane of a look has found, or why it is denied. Any other failure is one of the whole look, at once.
pub(super) async fn sparing<T>(
    lane: impl Future<Output = Result<T, CloudError>>,
) -> Result<Result<T, CloudError>, CloudError> {
    match lane.await {
        Err(error) if error.kind != Kind::Denied => Err(error),
        found => Ok(found),
    }
}

/// What reads side by side have found. Of several that are denied, the first in this order tells: which is answered first is
/// chance, and a condition that told that would change at every pass.
pub(super) async fn in_order<T>(
    reads: impl IntoIterator<Item = impl Future<Output = Result<T, CloudError>>>,
) -> Result<Vec<T>, CloudError> {
    try_join_all(reads.into_iter().map(sparing)).await?.into_iter().collect()
}

/// What lanes were denied, in their order.
#[derive(Default)]
pub(super) struct Denials(Vec<CloudError>);

impl Denials {
    /// What a lane has found.
    pub(super) fn sift<T>(&mut self, lane: Result<T, CloudError>) -> Option<T> {
        lane.map_err(|denial| self.0.push(denial)).ok()
    }

    /// One error for all of them: the first in AWS's words, the others by their operations.
    pub(super) fn together(self) -> CloudError {
        let mut all = self.0.into_iter();
        let Some(mut first) = all.next() else { return unexpected("Observe", "", "nothing was denied") };
        let mut others: Vec<&str> = Vec::new();
        for other in all.map(|denial| denial.operation) {
            if other != first.operation && !others.contains(&other) {
                others.push(other);
            }
        }
        if !others.is_empty() {
            first.message = format!("{}; denied too: {}", first.message, others.join(", "));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(operation: &'static str, kind: Kind) -> CloudError {
        let (resource, code) = ("r".to_owned(), "AccessDenied".to_owned());
        CloudError { operation, resource, kind, code, message: format!("no {operation}") }
    }

    fn lane(operation: &'static str, kind: Kind) -> impl Future<Output = Result<(), CloudError>> {
        std::future::ready(Err(error(operation, kind)))
    }

    #[tokio::test]
    async fn all_that_is_denied_is_told_at_once_and_in_the_order_of_the_lanes() {
        let slow = async {
            tokio::task::yield_now().await;
            lane("DescribeTable", Kind::Denied).await
        };
        let lanes = tokio::try_join!(
            sparing(slow),
            sparing(async { Ok(7) }),
            sparing(lane("GetRole", Kind::Denied)),
            sparing(lane("GetFunction", Kind::Denied)),
            sparing(lane("GetRole", Kind::Denied)),
        )
        .unwrap();
        let mut denials = Denials::default();
        assert!(denials.sift(lanes.0).is_none());
        assert_eq!(denials.sift(lanes.1), Some(7));
        assert!([lanes.2, lanes.3, lanes.4].into_iter().all(|lane| denials.sift(lane).is_none()));
        let told = denials.together();
        let expected = "DescribeTable r: AccessDenied: no DescribeTable; denied too: GetRole, GetFunction";
        assert_eq!((told.kind, told.to_string().as_str()), (Kind::Denied, expected));
    }

    #[tokio::test]
    async fn of_several_reads_that_are_denied_the_first_tells_whichever_is_answered_first() {
        let reads = ["GetRole", "GetFunction"].into_iter().enumerate().map(async |(at, operation)| {
            if at == 0 {
                tokio::task::yield_now().await;
            }
            lane(operation, Kind::Denied).await
        });
        assert_eq!(in_order(reads).await.map(drop), Err(error("GetRole", Kind::Denied)));
    }

    #[tokio::test]
    async fn another_failure_ends_the_look_at_once() {
        let never = std::future::pending::<Result<(), CloudError>>();
        let lanes = async {
            tokio::try_join!(
                sparing(lane("GetRole", Kind::Denied)),
                sparing(lane("GetApis", Kind::Throttled)),
                sparing(never),
            )
        };
        assert_eq!(lanes.await.map(drop), Err(error("GetApis", Kind::Throttled)));
    }
}
