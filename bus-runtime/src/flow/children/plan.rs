//! Which stored child each given one is, and which of the stored are to go: a pure function.

use bus_core::{ListRule, ObjectId};
use uuid::Uuid;

/// By what children are known beneath their parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: Option<ObjectId>,
    pub(super) guid: Option<Uuid>,
    pub(super) code_name: Option<String>,
}

/// What becomes of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each that was given, which of the stored it is; `None` for one that is none of them.
    pub(super) is: Vec<Option<usize>>,
    /// Those of the stored that go.
    pub(super) gone: Vec<usize>,
}

/// By id, else by GUID, else by code name. Two that would be the same stored one are refused by their places.
pub(super) fn plan(rule: ListRule, stored: &[Known], given: &[Known]) -> Result<Plan, (usize, usize)> {
    if rule == ListRule::None {
        return Ok(Plan { is: Vec::new(), gone: Vec::new() });
    }
    let mut taken: Vec<Option<usize>> = vec![None; stored.len()];
    let mut is = Vec::with_capacity(given.len());
    for (place, one) in given.iter().enumerate() {
        let found = found(stored, one);
        if let Some(index) = found {
            if let Some(first) = taken[index] {
                return Err((first, place));
            }
            taken[index] = Some(place);
        }
        is.push(found);
    }
    let is_gone = |index: &usize| rule == ListRule::Complete && taken[*index].is_none();
    Ok(Plan { is, gone: (0..stored.len()).filter(is_gone).collect() })
}

fn found(stored: &[Known], given: &Known) -> Option<usize> {
    let by = |is: &dyn Fn(&Known) -> bool| stored.iter().position(is);
    let by_id = given.id.as_ref().and_then(|id| by(&|known| known.id.as_ref() == Some(id)));
    let by_guid = || given.guid.and_then(|guid| by(&|known| known.guid == Some(guid)));
    let by_code_name =
        || given.code_name.as_ref().and_then(|name| by(&|known| known.code_name.as_ref() == Some(name)));
    by_id.or_else(by_guid).or_else(by_code_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(id: i64, guid: u128, code_name: &str) -> Known {
        Known {
            id: (id != 0).then_some(ObjectId::Number(id)),
            guid: (guid != 0).then_some(Uuid::from_u128(guid)),
            code_name: (!code_name.is_empty()).then(|| code_name.to_owned()),
        }
    }

    #[test]
    fn each_rule_says_which_is_which_and_who_goes() {
        let stored = [known(1, 11, "one"), known(2, 12, "two"), known(3, 0, "")];
        let (id, guid, name) = (known(2, 0, ""), known(0, 12, ""), known(0, 0, "two"));
        for (given, is) in [
            (vec![], vec![]),
            (vec![id.clone()], vec![Some(1)]),
            (vec![guid], vec![Some(1)]),
            (vec![name.clone()], vec![Some(1)]),
            (vec![known(0, 0, "new")], vec![None]),
            (vec![known(0, 0, "")], vec![None]),
            (vec![known(9, 0, "two")], vec![Some(1)]),
            // The id wins over the GUID, and that over the code name.
            (vec![known(3, 11, "two")], vec![Some(2)]),
            (vec![known(0, 11, "two")], vec![Some(0)]),
            (vec![known(0, 0, "one"), known(0, 0, "new"), known(3, 0, "")], vec![Some(0), None, Some(2)]),
        ] {
            let left: Vec<usize> = (0..3).filter(|index| !is.contains(&Some(*index))).collect();
            let complete = Plan { is: is.clone(), gone: left };
            assert_eq!(plan(ListRule::Complete, &stored, &given), Ok(complete), "{given:?}");
            let incremental = Plan { is, gone: Vec::new() };
            assert_eq!(plan(ListRule::Incremental, &stored, &given), Ok(incremental), "{given:?}");
            let nothing = Plan { is: Vec::new(), gone: Vec::new() };
            assert_eq!(plan(ListRule::None, &stored, &given), Ok(nothing), "{given:?}");
        }
        for rule in [ListRule::Incremental, ListRule::Complete] {
            let twice = [known(0, 0, "new"), id.clone(), name.clone()];
            assert_eq!(plan(rule, &stored, &twice), Err((1, 2)), "both are the second");
        }
    }
}
