//! Why an object may not have the stack that it adopts: another object has it, or it is not there.
//!
//! Two objects with one stack would undo each other's changes, and whichever is deleted takes the stack of the other along. So
//! of all that claim it one has it, and whoever asks comes to the same one: the object that it was made for, then one
//! that has it already, then the oldest.
//!
//! That the stack is there is asked before the object has it, and not again: what somebody deletes of it later is made
//! anew as of any other stack.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;

use crate::observed::Observed;
use crate::stack::name::{Names, Owner, STACK_TAG};
use crate::stack::{Invalid, is_held};
use crate::sumu_stack::SumuStack;

/// An object, and which stack is its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The object's UID.
    pub uid: String,
    /// Its namespace and name.
    pub full_name: String,
    /// The UID that it adopts.
    pub adopts: Option<String>,
    /// Whether it has its stack already.
    pub is_held: bool,
    /// When it was made.
    pub created: Option<Time>,
}

impl Claim {
    /// What an object claims.
    #[must_use]
    pub fn of(stack: &SumuStack) -> Self {
        let adopts = stack.spec.adoption.as_ref().map(|adoption| adoption.uid.clone());
        Self { adopts, is_held: is_held(stack), ..Self::of_unreadable(&stack.metadata) }
    }

    /// What an object claims of which only this can be read: the stack that was made for it.
    #[must_use]
    pub fn of_unreadable(metadata: &ObjectMeta) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            uid: text(&metadata.uid),
            full_name: format!("{}/{}", text(&metadata.namespace), text(&metadata.name)),
            adopts: None,
            is_held: false,
            created: metadata.creation_timestamp.clone(),
        }
    }

    /// The less, the sooner it has the stack of this UID.
    fn rank(&self, stack: &str) -> impl Ord + use<> {
        // One that is not made yet is the youngest.
        (self.uid != stack, !self.is_held, self.created.is_none(), self.created.clone(), self.uid.clone())
    }
}

/// Why an object may not have the stack that it adopts, when `all` are the objects of the cluster.
#[must_use]
pub fn taken(mine: &Claim, all: &[Claim]) -> Option<Invalid> {
    let stack = mine.adopts.as_deref()?;
    let claim_it = all.iter().filter(|it| it.uid == stack || it.adopts.as_deref() == Some(stack));
    let first = claim_it.chain([mine]).min_by_key(|it| it.rank(stack))?;
    let has_it = match &first.uid {
        uid if *uid == mine.uid => return None,
        uid if uid == stack => "is in this cluster and has that UID",
        _ => "adopts the stack of that UID too, and has it",
    };
    Some(Invalid(format!(
        "spec.adoption.uid: SumuStack {} {has_it}: a stack has one object, so keep that one and delete this one, of which \
         nothing is in AWS",
        first.full_name
    )))
}

/// Why what a look has shown is not the stack that an object adopts.
#[must_use]
pub fn mistaken(owner: &Owner, names: &Names, observed: &Observed) -> Option<Invalid> {
    // Found by its owner alone, whatever its name is.
    let known_as = observed.apis.iter().find_map(|api| api.tags.get(STACK_TAG));
    let tags = owner.tags();
    if let Some(other) = known_as.filter(|other| Some(*other) != tags.get(STACK_TAG)) {
        return Some(Invalid(format!(
            "spec.adoption.uid is the UID of the stack {other}, and its names in AWS follow from that namespace and name: make \
             this object anew with them as spec.adoption.namespace and spec.adoption.name"
        )));
    }
    // Roles are the same in all regions.
    let is_there = !(observed.apis.is_empty()
        && observed.tables.is_empty()
        && observed.functions.is_empty()
        && observed.queues.is_empty()
        && observed.topics.is_empty());
    if is_there {
        return None;
    }
    let (account, prefix) = (names.account(), names.prefix());
    let found = match observed.foreign.iter().next() {
        Some(first) => format!("has {first} under the stack's names ({prefix}-…), but without its tag"),
        None => format!("has nothing of it under the stack's names ({prefix}-…)"),
    };
    Some(Invalid(format!(
        "spec.adoption: account {} in {} {found}. Compare uid, namespace and name with the tags sumu.live/owner and \
         sumu.live/stack of what is in AWS; a stack that was let go with deletionPolicy Retain has lost them and cannot be \
         adopted. Without spec.adoption a new stack is made",
        account.id, account.region
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: &str = "5e1d3c1a-0000-4000-8000-000000000001";

    fn adopts(uid: &str, second: i64, is_held: bool) -> Claim {
        Claim {
            uid: uid.into(),
            full_name: format!("apps/{uid}"),
            adopts: Some(GONE.into()),
            is_held,
            created: Some(Time(jiff::Timestamp::from_second(second).unwrap())),
        }
    }

    /// Who has it, by the UIDs; also looks that the order in which they are listed makes no difference.
    fn who_has_it(all: &[Claim]) -> Vec<&str> {
        let reversed: Vec<Claim> = all.iter().rev().cloned().collect();
        let has_it = |mine: &&Claim| {
            assert_eq!(taken(mine, all), taken(mine, &reversed));
            taken(mine, all).is_none()
        };
        all.iter().filter(has_it).map(|claim| claim.uid.as_str()).collect()
    }

    #[test]
    fn whoever_adopts_what_nobody_else_has_has_it() {
        assert_eq!(who_has_it(&[adopts("b", 1, false)]), ["b"]);
        let others = Claim { adopts: Some("another".into()), ..adopts("c", 0, true) };
        assert_eq!(who_has_it(&[adopts("b", 1, false), others]), ["b", "c"]);
        assert_eq!(taken(&adopts("b", 1, false), &[]), None, "it was not listed yet");
    }

    #[test]
    fn an_object_that_is_there_keeps_its_stack_whoever_adopts_it() {
        let original = Claim { uid: GONE.into(), full_name: "apps/live".into(), adopts: None, ..adopts("a", 9, false) };
        let all = [adopts("b", 1, true), original.clone()];
        assert_eq!(who_has_it(&all), [GONE]);
        let refused = taken(&all[0], &all).unwrap().to_string();
        assert!(refused.contains("SumuStack apps/live is in this cluster and has that UID"), "{refused}");
        assert!(taken(&all[0], &all[1..]).is_some(), "it was not listed itself");
    }

    #[test]
    fn of_several_that_adopt_one_stack_exactly_one_has_it() {
        assert_eq!(who_has_it(&[adopts("b", 2, false), adopts("c", 1, false)]), ["c"], "the older");
        assert_eq!(who_has_it(&[adopts("b", 1, false), adopts("c", 2, true)]), ["c"], "who has it already");
        assert_eq!(who_has_it(&[adopts("c", 1, false), adopts("b", 1, false)]), ["b"], "of the same second");
        let all = [adopts("b", 1, true), adopts("c", 2, false)];
        let refused = taken(&all[1], &all).unwrap().to_string();
        assert!(refused.contains("SumuStack apps/b adopts the stack of that UID too"), "{refused}");
    }
}
