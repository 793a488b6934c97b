//! Objects taken apart: what the bus needs of one, whatever its Rust type.

use crate::object::{BusObject, HostId, ObjectId};
use crate::payload::{Payload, PayloadError};
use crate::reference::ReferenceTarget;

/// All that the bus needs of an object, whatever its Rust type.
#[derive(Debug, Clone)]
pub struct ObjectParts {
    pub object_type: &'static str,
    /// `None` before the first save.
    pub id: Option<ObjectId>,
    pub guid: Option<uuid::Uuid>,
    pub code_name: Option<String>,
    pub display_name: Option<String>,
    pub site: Option<String>,
    pub parent: Option<ReferenceTarget>,
    pub group: Option<ReferenceTarget>,
    pub payload: Payload,
    /// The object of this payload, with this identity.
    pub identify: fn(&Payload, Identified) -> Result<Self, PayloadError>,
}

/// Who an object is, when it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Identified {
    /// The object with this id and GUID, which is there already.
    Existing { id: ObjectId, guid: Option<uuid::Uuid> },
    /// A new object: this number (or this GUID) unless it brings its own id.
    New { number: i64, guid: uuid::Uuid },
}

impl ObjectParts {
    fn identify<T: BusObject>(payload: &Payload, identity: Identified) -> Result<Self, PayloadError> {
        let mut object: T = payload.clone().read()?;
        set_identity(&mut object, identity)?;
        Self::of(&object)
    }

    pub fn of<T: BusObject>(object: &T) -> Result<Self, PayloadError> {
        if T::IS_VIEW {
            return Err(PayloadError::new(format!(
                "a view of {0} shows a part of it, and what it does not show would be lost; write the struct that declares \
                 {0} as a whole",
                T::TYPE
            )));
        }
        let id = object.id();
        Ok(Self {
            object_type: T::TYPE,
            id: (!id.is_unset()).then(|| id.to_id()),
            guid: object.guid().filter(|guid| !guid.is_nil()),
            code_name: object.code_name(),
            display_name: object.display_name(),
            site: object.site(),
            parent: object.parent(),
            group: object.group(),
            payload: Payload { version: T::VERSION, ..Payload::of(object)? },
            identify: Self::identify::<T>,
        })
    }
}

/// Gives an object the id and the GUID that it is stored under.
pub fn set_identity<T: BusObject>(object: &mut T, identity: Identified) -> Result<(), PayloadError> {
    match identity {
        Identified::Existing { id, guid } => {
            let id = T::Id::from_id(&id).ok_or_else(|| {
                PayloadError::new(format!("`{id}` is not an id of {}: its ids are of another kind", T::TYPE))
            })?;
            object.set_id(id);
            if let Some(guid) = guid {
                object.set_guid(guid);
            }
        }
        Identified::New { number, guid } => {
            if object.id().is_unset() {
                let id = T::Id::assigned(number, guid).ok_or_else(|| {
                    PayloadError::new(format!(
                        "a new {} needs an id: its ids are texts, which the host chooses",
                        T::TYPE
                    ))
                })?;
                object.set_id(id);
            }
            if object.guid().is_none_or(|guid| guid.is_nil()) {
                object.set_guid(guid);
            }
        }
    }
    Ok(())
}
