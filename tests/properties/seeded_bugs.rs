//! The properties say something only if they do not hold of a store that is broken: each bug, and the properties that notice
//! it. That they hold of the same store without a bug is what they themselves are.

use crate::broken::Bug;
use crate::random::fails_for_one;
use crate::{circles, forests, translation, two_way};

/// Something that holds, whatever the objects.
#[derive(Debug, Clone, Copy)]
enum Property {
    /// What goes out in any order arrives with all that it refers to.
    Outgoing,
    /// What comes in in any order is applied with all that it refers to.
    Incoming,
    /// Late references are all told in the end.
    Circles,
    /// Out and in again is as it was.
    ThereAndBack,
    /// The same, without a struct.
    ThereAndBackUntyped,
    /// Two sides that take turns end equal.
    TwoWay,
}

impl Property {
    /// Whether it does not hold of a store with this bug.
    fn notices(self, bug: Bug) -> bool {
        match self {
            Self::Outgoing => {
                fails_for_one(forests::FORESTS, &forests::forest(), |case| forests::outgoing(case, bug))
            }
            Self::Incoming => {
                fails_for_one(forests::FORESTS, &forests::forest(), |case| forests::incoming(case, bug))
            }
            Self::Circles => {
                fails_for_one(circles::CIRCLES, &circles::circle(), |case| circles::told(case, bug))
            }
            Self::ThereAndBack => {
                let parcel = translation::parcel();
                fails_for_one(translation::PARCELS, &parcel, |case| translation::by_post(case, bug))
            }
            Self::TwoWay => {
                let correspondence = two_way::correspondence();
                fails_for_one(two_way::CASES, &correspondence, |case| two_way::taking_turns(case, bug))
            }
            Self::ThereAndBackUntyped => {
                let parcel = translation::parcel();
                fails_for_one(translation::PARCELS, &parcel, |case| translation::by_depot(case, bug))
            }
        }
    }
}

/// Which property notices which bug.
const NOTICED: &[(Bug, &[Property])] = {
    use Property::{Circles, Incoming, Outgoing, ThereAndBack, ThereAndBackUntyped, TwoWay};
    &[
        (Bug::DropsATask, &[Outgoing, Incoming, Circles, TwoWay]),
        (Bug::DropsAnObject, &[Incoming]),
        (Bug::DropsABinding, &[Outgoing, Circles]),
        (Bug::MixesUpExternalIds, &[Outgoing]),
        (Bug::MixesUpHostIds, &[Incoming, ThereAndBack, ThereAndBackUntyped]),
        (Bug::WakesNobody, &[Outgoing, Incoming]),
        (Bug::ForgetsWhereReferencesStand, &[Outgoing, Circles, ThereAndBack, ThereAndBackUntyped]),
        (Bug::ForgetsTheLate, &[Circles]),
        (Bug::TurnsListsRound, &[ThereAndBack, ThereAndBackUntyped]),
        (Bug::HearsForEver, &[TwoWay]),
    ]
};

#[test]
fn a_broken_store_is_noticed_by_each_property_that_it_breaks() {
    let mut unnoticed = Vec::new();
    for (bug, properties) in NOTICED {
        unnoticed.extend(properties.iter().map(|by| (bug, by)).filter(|(bug, by)| !by.notices(**bug)));
    }
    assert!(unnoticed.is_empty(), "these bugs are not noticed by these properties: {unnoticed:?}");
}
