//! The application's listeners: to all changes and external objects, and to the changes of one type of objects, or one class of pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus_core::payload::{Payload, PayloadError};
use bus_core::{BusObject, ChangeSummary, Event, Listener, ListenerOf, Page, TaskId, Veto, page};

use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::versions;
use crate::registry::Registry;

/// The application's listeners, in the order in which they were added.
#[derive(Default)]
pub(crate) struct Listeners {
    to_all: Vec<Arc<dyn Listener>>,
    by_type: BTreeMap<&'static str, Vec<ToType>>,
    by_class: BTreeMap<&'static str, Vec<Arc<dyn AnyListenerOf>>>,
}

/// A listener to the changes of one type.
struct ToType {
    listener: Arc<dyn AnyListenerOf>,
    /// The version of the struct that it takes; `None` of a view, which is read from whatever there is.
    version: Option<u32>,
}

/// A listener to one type, whatever the type.
pub(crate) trait AnyListenerOf: Send + Sync {
    /// Whether it has anything against a change; an error where that cannot be read as what it takes.
    fn before(&self, change: &ChangeSummary, forms: &Forms) -> Result<Result<(), Veto>, PayloadError>;
    /// Tells it.
    fn after(&self, change: &ChangeSummary, forms: &Forms, task: TaskId) -> Result<(), PayloadError>;
}

/// The object of a change, for those who listen to its type.
#[derive(Debug, Clone)]
pub(crate) struct Forms {
    /// What it was, where that is known and it is not deleted.
    pub(crate) before: Option<Payload>,
    /// What it is, or, after a delete, was.
    pub(crate) object: Payload,
}

struct Erased<L, T> {
    listener: L,
    read: fn(Payload) -> Result<T, PayloadError>,
}

impl<T: 'static, L: ListenerOf<T>> AnyListenerOf for Erased<L, T> {
    fn before(&self, change: &ChangeSummary, forms: &Forms) -> Result<Result<(), Veto>, PayloadError> {
        Ok(self.listener.before(&self.event(change, forms)?))
    }

    fn after(&self, change: &ChangeSummary, forms: &Forms, task: TaskId) -> Result<(), PayloadError> {
        self.listener.after(&self.event(change, forms)?, task);
        Ok(())
    }
}

impl<L, T> Erased<L, T> {
    fn event(&self, change: &ChangeSummary, forms: &Forms) -> Result<Event<T>, PayloadError> {
        let before = forms.before.clone().map(self.read).transpose()?;
        Ok(Event::new(change.clone(), before, (self.read)(forms.object.clone())?))
    }
}

impl Listeners {
    pub(crate) fn add(&mut self, listener: impl Listener) {
        self.to_all.push(Arc::new(listener));
    }

    pub(crate) fn add_to<T: BusObject>(&mut self, listener: impl ListenerOf<T>) {
        let listener = Arc::new(Erased { listener, read: Payload::read::<T> });
        let version = (!T::IS_VIEW).then_some(T::VERSION);
        self.by_type.entry(T::TYPE).or_default().push(ToType { listener, version });
    }

    pub(crate) fn add_to_pages<T: Page>(&mut self, listener: impl ListenerOf<T>) {
        let listener = Arc::new(Erased { listener, read: page::read::<T> });
        self.by_class.entry(T::CLASS).or_default().push(listener);
    }

    /// Those who listen to everything.
    pub(crate) fn to_all(&self) -> impl Iterator<Item = &dyn Listener> {
        self.to_all.iter().map(|listener| &**listener)
    }

    /// Those who listen to the type, or the class, that a change is about.
    pub(crate) fn to(&self, change: &ChangeSummary) -> impl Iterator<Item = &dyn AnyListenerOf> {
        let name = change.object_type.as_str();
        let of_type = self.by_type.get(name).filter(|_| change.page.is_none());
        let of_class = self.by_class.get(name).filter(|_| change.page.is_some());
        let of_type = of_type.into_iter().flatten().map(|to_type| &*to_type.listener);
        of_type.chain(of_class.into_iter().flatten().map(|listener| &**listener))
    }

    /// Refuses those who would never hear anything.
    pub(crate) fn check(&self, registry: &Registry) -> Result<()> {
        if let Some(class) = self.by_class.keys().find(|class| registry.page_class(class).is_none()) {
            let message = format!(
                "nobody can listen to pages of class {class}: nobody in this program declares it; derive `Page` for it, or add it \
                 to the `Registry`"
            );
            return Err(BusError::new(BusErrorKind::Config, message));
        }
        for (name, listeners) in &self.by_type {
            let refuse = |reason: &str| {
                let message = format!("nobody can listen to {name}: {reason}");
                Err(BusError::new(BusErrorKind::Config, message))
            };
            if !registry.knows_object_type(name) {
                return refuse(
                    "nobody in this program declares it; derive `BusObject` for it, or add it to the `Registry`",
                );
            }
            for version in listeners.iter().filter_map(|listener| listener.version) {
                if let Err(reason) = versions::check(registry, name, version) {
                    return refuse(&reason);
                }
            }
        }
        Ok(())
    }
}
