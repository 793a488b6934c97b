//! What is done so that the external system is told of a new object once, although answers get lost: pure, so that it
//! can be told in a table.

use bus_core::{CreateOnce, Failure, FailureKind, ObjectOperation, Operation, PageOperation};
use bus_store::Doubt;

/// What is done before a call that would create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// It is made.
    Call,
    /// The connector is asked first whether the object is there.
    Find,
    /// A person has to look.
    Park,
}

/// Whether the external system would create the object, or the page, at this: it knows it under no id, and is told what it
/// is.
pub(crate) fn creates(operation: Operation, external_id: Option<&str>) -> bool {
    let is_told = match operation {
        Operation::Object(ObjectOperation::RemoveFromSite) => false,
        operation => !operation.is_delete(),
    };
    is_told && external_id.is_none()
}

/// What happened, for an external system that turns out to know the object already.
pub(crate) fn of_known(operation: Operation) -> Operation {
    match operation {
        Operation::Object(ObjectOperation::Create) => ObjectOperation::Update.into(),
        Operation::Page(PageOperation::Create) => PageOperation::Update.into(),
        operation => operation,
    }
}

/// Before a call that would create.
pub(crate) fn before(policy: CreateOnce, doubt: Doubt) -> Before {
    match (policy, doubt) {
        (_, Doubt::None) | (CreateOnce::Repeatable, _) | (CreateOnce::InDoubt, Doubt::TriedAnyway) => {
            Before::Call
        }
        (CreateOnce::Find, Doubt::InDoubt | Doubt::TriedAnyway) => Before::Find,
        (CreateOnce::InDoubt, Doubt::InDoubt) => Before::Park,
    }
}

/// After a call that was to create, and failed. Asking costs little, so that who can be asked is asked about whatever
/// may have happened, unless the external system would not have it; else a connector is taken at its word.
pub(crate) fn after(policy: CreateOnce, failure: &Failure) -> Doubt {
    let is_in_doubt = match policy {
        CreateOnce::Find if failure.kind() == FailureKind::Reject => failure.is_without_an_answer(),
        CreateOnce::Find => failure.may_have_taken_effect(),
        CreateOnce::Repeatable | CreateOnce::InDoubt => failure.is_without_an_answer(),
    };
    if is_in_doubt { Doubt::InDoubt } else { Doubt::None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn each_declaration_says_what_comes_before_a_second_create() {
        use CreateOnce::{Find, InDoubt, Repeatable};
        for (policy, doubt, expected) in [
            (Find, Doubt::None, Before::Call),
            (Find, Doubt::InDoubt, Before::Find),
            (Find, Doubt::TriedAnyway, Before::Find),
            (Repeatable, Doubt::None, Before::Call),
            (Repeatable, Doubt::InDoubt, Before::Call),
            (Repeatable, Doubt::TriedAnyway, Before::Call),
            (InDoubt, Doubt::None, Before::Call),
            (InDoubt, Doubt::InDoubt, Before::Park),
            (InDoubt, Doubt::TriedAnyway, Before::Call),
        ] {
            assert_eq!(before(policy, doubt), expected, "{policy:?} {doubt:?}");
        }
    }

    #[test]
    fn each_declaration_says_which_failures_leave_a_doubt() {
        use CreateOnce::{Find, InDoubt, Repeatable};
        let refused = || Failure::disconnected(io::Error::from(io::ErrorKind::ConnectionRefused));
        for (policy, failure, is_in_doubt) in [
            (Find, Failure::unanswered("too long"), true),
            (Find, Failure::disconnected("reset"), true),
            (Find, Failure::retry("500"), true),
            (Find, Failure::reject("422"), false),
            (Find, Failure::retry("429").nothing_done(), false),
            (Find, refused(), false),
            (InDoubt, Failure::unanswered("too long"), true),
            (InDoubt, Failure::disconnected("reset"), true),
            (InDoubt, Failure::from(io::Error::other("odd")), true),
            (InDoubt, Failure::retry("500"), false),
            (InDoubt, Failure::reject("422"), false),
            (InDoubt, refused(), false),
            (Repeatable, Failure::unanswered("too long"), true),
            (Repeatable, Failure::retry("500"), false),
        ] {
            let expected = if is_in_doubt { Doubt::InDoubt } else { Doubt::None };
            assert_eq!(after(policy, &failure), expected, "{policy:?} {failure:?}");
        }
    }

    #[test]
    fn what_is_bound_or_taken_away_creates_nothing() {
        let takes_away: [Operation; 4] = [
            ObjectOperation::Delete.into(),
            ObjectOperation::RemoveFromSite.into(),
            PageOperation::Delete.into(),
            PageOperation::DeleteAll.into(),
        ];
        for operation in Operation::all() {
            assert_eq!(creates(operation, None), !takes_away.contains(&operation), "{operation}");
            assert!(!creates(operation, Some("003")), "{operation}");
        }
    }
}
