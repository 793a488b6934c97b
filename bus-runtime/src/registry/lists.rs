//! What the linked object types say of the lists that they hold, and of whose list they stand in.

use bus_core::ListField;
use bus_core::reference::{ReferenceField, ReferenceRole};

use super::Registry;
use crate::error::{BusError, BusErrorKind};

impl Registry {
    /// The lists of child objects of a type; none where nobody declares it.
    pub(crate) fn child_lists(&self, object_type: &str) -> &'static [ListField] {
        self.object_type(object_type).map_or(&[], |object| object.children)
    }

    /// The field in which objects of this type name whose child they are, where that type holds them in a list.
    pub(crate) fn owner_field(&self, child_type: &str) -> Option<&'static ReferenceField> {
        let child = self.object_type(child_type)?;
        child.references.iter().find(|field| {
            let lists = self.child_lists(field.object_type);
            field.role == ReferenceRole::Parent && lists.iter().any(|list| list.object_type == child_type)
        })
    }

    /// Whether a write of such an object can be about others: above it, or beneath it.
    pub(crate) fn is_in_family(&self, object_type: &str) -> bool {
        !self.child_lists(object_type).is_empty() || self.owner_field(object_type).is_some()
    }

    /// The children of every type must be known, and stand in one list of it.
    pub(super) fn check_lists(&self) -> Result<(), BusError> {
        for object in self.objects.values() {
            for (index, list) in object.children.iter().enumerate() {
                let refuse = |fault: String| {
                    let message =
                        format!("`{}` of {} at {} {fault}", list.field, object.object_type, object.place);
                    Err(BusError::new(BusErrorKind::Discovery, message))
                };
                let child_type = list.object_type;
                if self.object_type(child_type).is_none_or(|child| child.is_view) {
                    return refuse(format!(
                        "holds children of type {child_type}, which nobody in this program declares as a whole; link the \
                         crate that does, or add it to the `Registry`"
                    ));
                }
                if let Some(other) = object.children[..index].iter().find(|one| one.object_type == child_type)
                {
                    return refuse(format!(
                        "and `{}` both hold children of type {child_type}, and a child does not say in which of them it \
                         stands; keep one list",
                        other.field
                    ));
                }
            }
        }
        Ok(())
    }
}
