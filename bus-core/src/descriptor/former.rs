//! Objects that an earlier version of their struct has written: read as what they were, and made what they are now.

use crate::__private::is_same;
use crate::descriptor::{DescribedObject, ObjectDescriptor};
use crate::object::{BusObject, HostId};
use crate::payload::{Payload, PayloadError};
use crate::reference::Reference;

/// An earlier version of an object type, and how its objects become those of a later one.
#[derive(Debug, Clone, Copy)]
pub struct Former {
    object: &'static ObjectDescriptor,
    upgrade: fn(Payload) -> Result<Payload, PayloadError>,
}

impl Former {
    /// `F`, whose objects become `T`.
    ///
    /// # Panics
    ///
    /// While it compiles, if `F` is another object type, or is not an earlier version of it.
    #[track_caller]
    pub const fn new<F: BusObject + DescribedObject, T: BusObject + From<F>>() -> Self {
        assert!(
            is_same(F::TYPE, T::TYPE),
            "`from` names a struct of another object type: give both the same `type`"
        );
        assert!(
            F::VERSION < T::VERSION,
            "`from` names a struct that is no earlier version: give it a smaller `version`, or this one a larger one"
        );
        Self { object: F::DESCRIPTOR, upgrade: upgrade::<F, T> }
    }
}

impl ObjectDescriptor {
    /// An object of this type as the struct has it now, whatever version of it has written it.
    ///
    /// # Errors
    ///
    /// A later version has written it, or one that no `from` leads back to, or it is not what that version writes, or
    /// its id would change.
    pub fn upgraded(&self, payload: Payload) -> Result<Payload, PayloadError> {
        let (written, known) = (payload.version, self.version);
        if written > known {
            return Err(PayloadError::new(format!(
                "it was written by version {written} of {}, and this program knows up to {known}; update it, or leave it to \
                 a process that is",
                self.object_type
            )));
        }
        self.made_of(payload, known)
    }

    /// One version after the other, beginning with the one that has written it.
    fn made_of(&self, payload: Payload, latest: u32) -> Result<Payload, PayloadError> {
        let written = payload.version;
        if written == self.version {
            return Ok(payload);
        }
        let Some(former) = self.former.filter(|former| former.object.version >= written) else {
            return Err(PayloadError::new(format!(
                "it was written by version {written} of {}, which this program does not know any more; let the `from` of \
                 version {latest}, or of one before it, name the struct that it was",
                self.object_type
            )));
        };
        (former.upgrade)(former.object.made_of(payload, latest)?)
    }

    /// The versions before this one, the latest first.
    pub fn formers(&self) -> impl Iterator<Item = &'static Self> {
        std::iter::successors(self.former, |former| former.object.former).map(|former| former.object)
    }
}

fn upgrade<F: BusObject, T: BusObject + From<F>>(payload: Payload) -> Result<Payload, PayloadError> {
    let records = payload.references.clone();
    let was: F = payload.read().map_err(|error| {
        PayloadError::new(format!("it is not what version {} of {} writes: {error}", F::VERSION, F::TYPE))
    })?;
    let id = was.id().to_id();
    let is = T::from(was);
    if is.id().to_id() != id {
        return Err(PayloadError::new(format!(
            "version {} of {} gives {id} the id {}, and an id never changes; keep it in `From`",
            T::VERSION,
            T::TYPE,
            is.id().to_id()
        )));
    }
    let mut payload = Payload { version: T::VERSION, ..Payload::of(&is)? };
    for reference in &mut payload.references {
        let same = |other: &&_| is_about_the_same(reference, other);
        reference.record = records.iter().find(same).and_then(|known| known.record.clone());
    }
    Ok(payload)
}

/// Wherever they stand: a later version may have moved the field.
fn is_about_the_same(one: &Reference, other: &Reference) -> bool {
    (&one.object_type, &one.target) == (&other.object_type, &other.target)
}
