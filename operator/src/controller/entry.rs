//! What comes before AWS is changed: whether this is the place where a stack is, and whether the stack is this object's.
//!
//! What an object adopts is claimed by nobody else, which the API server is asked each time, and is there, which AWS is asked
//! once, before the object has it. What is made of the answers is [`crate::status::adoption`]'s.

use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::core::error_boundary::DeserializeGuard;
use kube::runtime::controller::Action;

use super::kubernetes::Stacks;
use super::{Context, Error};
use crate::cloud::aws::{Aws, Purpose, counted};
use crate::cloud::{Cloud as _, CloudError};
use crate::stack::name::{Names, Owner};
use crate::stack::{Invalid, Location, Object};
use crate::status::adoption::{Claim, mistaken, taken};
use crate::status::moved;
use crate::sumu_stack::SumuStack;

/// How soon an object that may not have what it adopts is looked at again: who has it may be gone, and nobody tells us.
const REFUSED_AGAIN: Duration = Duration::from_mins(1);

/// Why a stack's place in AWS cannot be worked in.
pub(super) enum Stopped {
    /// The operator was told to stop.
    Told,
    /// It cannot be reached.
    Unseen(CloudError),
    /// It is not the stack's place.
    Moved(Invalid),
    /// The stack is another object's.
    Taken(Invalid),
    /// There is no such stack to adopt.
    Mistaken(Invalid),
    /// It could not be asked whose the stack is.
    Unknown(Error),
}

impl Context {
    /// Goes where a stack lives, and nowhere else.
    pub(super) async fn enter(&self, location: &Location, stack: &SumuStack) -> Result<Arc<Aws>, Stopped> {
        if let Some(taken) = self.taken(stack).await.map_err(Stopped::Unknown)? {
            return Err(Stopped::Taken(taken));
        }
        let cloud = tokio::select! {
            () = self.stop.told() => return Err(Stopped::Told),
            cloud = Box::pin(self.clouds.get(location)) => cloud.map_err(Stopped::Unseen)?,
        };
        moved(stack, cloud.account()).map_or(Ok(cloud), |moved| Err(Stopped::Moved(moved)))
    }

    /// The same for an object that has nothing in AWS yet: what it adopts must be there.
    pub(super) async fn enter_first(&self, location: &Location, stack: &SumuStack) -> Result<Arc<Aws>, Stopped> {
        let cloud = self.enter(location, stack).await?;
        if stack.spec.adoption.is_none() {
            return Ok(cloud);
        }
        let owner = Owner::of(stack).map_err(|invalid| Stopped::Unknown(invalid.into()))?;
        let names = Names::of(&owner, cloud.account().clone());
        // On the heap, as every look.
        let look = Box::pin(counted(Purpose::Change, Box::pin(cloud.observe(&names, &owner))));
        let (observed, _) = tokio::select! {
            () = self.stop.told() => return Err(Stopped::Told),
            seen = look => seen,
        };
        let observed = observed.map_err(Stopped::Unseen)?;
        mistaken(&owner, &names, &observed).map_or(Ok(cloud), |mistaken| Err(Stopped::Mistaken(mistaken)))
    }

    /// Why a stack is not an object's that adopts it. The API server is asked, since a watch may not have shown yet who else
    /// has just begun to; of the namespaces that are not watched nothing is known.
    async fn taken(&self, stack: &SumuStack) -> Result<Option<Invalid>, Error> {
        if stack.spec.adoption.is_none() {
            return Ok(None);
        }
        let mut all = Vec::new();
        for place in &self.places {
            let listed = place.list(&ListParams::default()).await;
            let listed =
                listed.map_err(|source| Error::Kubernetes { action: "asking who has the adopted stack", source })?;
            all.extend(listed.items.iter().map(|DeserializeGuard(object)| match object {
                Ok(stack) => Claim::of(stack),
                Err(invalid) => Claim::of_unreadable(&invalid.metadata),
            }));
        }
        Ok(taken(&Claim::of(stack), &all))
    }

    /// Tells why nothing was done.
    pub(super) async fn stopped(
        &self,
        stack: &SumuStack,
        object: &Object,
        stacks: &Stacks,
        stopped: Stopped,
    ) -> Result<Action, Error> {
        match stopped {
            Stopped::Told => Ok(Action::await_change()),
            Stopped::Unknown(error) => Err(error),
            Stopped::Unseen(error) => self.unseen(stack, object, stacks, &error).await,
            Stopped::Moved(invalid) => self.refuse(stack, object, stacks, &invalid, self.resync(stack)).await,
            Stopped::Taken(invalid) | Stopped::Mistaken(invalid) => {
                self.refuse(stack, object, stacks, &invalid, REFUSED_AGAIN).await
            }
        }
    }
}
