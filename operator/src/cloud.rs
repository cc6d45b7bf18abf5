//! The port to AWS: look at a stack, and make one call.
//!
//! # Contract of [`Cloud`]
//! *Flow.* [`observe`](Cloud::observe), then [`plan`](crate::plan::plan), then [`apply`](Cloud::apply) for each
//! step, then observe again.
//!
//! *Guarantees.* `observe` finds everything of the owner, by name or by tag, also what a crashed or unanswered
//! create has left. A resource without the owner's tag is reported as foreign. An answer other than "it does not
//! exist" is never read as absence. `apply` makes exactly one call for each step and never decides anything;
//! deleting what is gone is success.
//!
//! *Assumptions.* Reads may lag behind writes. Then a step is planned again and AWS answers that the thing is
//! there already, which counts as progress.
//!
//! *Errors.* Every failure is a [`CloudError`] of a class that says what to do.

pub mod aws;
pub mod error;

use std::future::Future;

use crate::desired::end::Closer;
use crate::observed::{Closely, Observed};
use crate::plan::Step;
use crate::stack::name::{Names, Owner};
pub use error::{CloudError, Kind};

/// What the operator needs of AWS.
pub trait Cloud: Send + Sync {
    /// Looks at everything that belongs to a stack.
    fn observe(&self, names: &Names, owner: &Owner) -> impl Future<Output = Result<Observed, CloudError>> + Send;

    /// Looks at what only the end of a stack makes worth a call, of what a look has shown.
    fn look_closer(
        &self,
        closer: Closer,
        names: &Names,
        observed: &Observed,
    ) -> impl Future<Output = Result<Closely, CloudError>> + Send;

    /// Makes one call.
    fn apply(&self, step: &Step) -> impl Future<Output = Result<(), CloudError>> + Send;
}
