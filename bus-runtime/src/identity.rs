//! The identity map of a connector, for people: what is bound to what, and how that is mended.

mod external_id;

use std::sync::Arc;

use bus_core::{BusObject, ConnectorName, HostId, ObjectId, ObjectKey, ObjectType};
use bus_store::operate::PAGE_ROWS_MAX;
use bus_store::{Binding, Commit, ExternalId, StoreError, StoreErrorKind};

use crate::Result;
use crate::bus::Bus;
use crate::error::{BusError, BusErrorKind};
use crate::flow::page::page_of;
use crate::operate::Operator;
use crate::shared::Shared;

pub(crate) use external_id::{Unfit, check_external_id};

/// How often a link starts over when something else is bound in between.
const CONFLICTS_MAX: usize = 10;

/// "Our object 17 is their object 003xx": the bindings of one connector, one-to-one. Made by [`Bus::identity`].
///
/// The bus keeps it by itself: what `deliver` binds, what is applied, what a connector answers about references. This is
/// for what it cannot know: systems that were filled before they were connected, and mistakes.
#[derive(Clone)]
pub struct IdentityMap {
    shared: Arc<Shared>,
    connector: ConnectorName,
}

impl Bus {
    /// The identity map of a connector. It stays under the connector's name when that is deleted, unless it is told to
    /// forget.
    ///
    /// ```no_run
    /// # async fn f(bus: bus_runtime::Bus) -> bus_runtime::Result<()> {
    /// use bus_core::{ObjectId, ObjectKey};
    /// use bus_runtime::Operator;
    ///
    /// let crm = bus.identity(&"crm".parse().unwrap());
    /// let ada = ObjectKey { object_type: "app.user".parse().unwrap(), id: ObjectId::Number(17) };
    /// let ops = Operator::named("jane").because("the CRM knew her before");
    /// crm.link(&ada, "003xx", &ops).await?;
    /// assert_eq!(crm.external_id(&ada).await?.as_deref(), Some("003xx"));
    /// # Ok(()) }
    /// ```
    pub fn identity(&self, connector: &ConnectorName) -> IdentityMap {
        IdentityMap { shared: Arc::clone(&self.shared), connector: connector.clone() }
    }
}

impl IdentityMap {
    /// What the external system calls an object; `None` where that is not known, or the object is gone.
    pub async fn external_id(&self, object: &ObjectKey) -> Result<Option<String>> {
        let known = self.shared.store.external_ids(&self.connector, std::slice::from_ref(object)).await;
        let known = known.map_err(|error| self.failed(error))?.into_iter().flatten().next();
        Ok(known.and_then(ExternalId::of_living))
    }

    /// Which object of type `T` the external system calls this; `None` where that is not known, or the object is gone.
    pub async fn host_id<T: BusObject>(&self, external_id: &str) -> Result<Option<T::Id>> {
        let object_type = T::TYPE.parse();
        let object_type: ObjectType =
            object_type.map_err(|error| BusError::new(BusErrorKind::BadName, format!("{error}")))?;
        let asked = [(object_type, external_id.to_owned())];
        let known = self.shared.store.host_ids(&self.connector, &asked).await;
        let known: Option<ObjectId> = known.map_err(|error| self.failed(error))?.into_iter().flatten().next();
        Ok(known.as_ref().and_then(T::Id::from_id))
    }

    /// The bindings by type and external id, beginning after the given one; at most `limit`, and at most 1,000. Those of
    /// objects that are gone are among them until the delete is delivered.
    pub async fn list(&self, after: Option<&Binding>, limit: usize) -> Result<Vec<Binding>> {
        let after = after.map(|last| (last.object.object_type.clone(), last.external_id.clone()));
        let listed = self.shared.store.bindings(&self.connector, after, limit.min(PAGE_ROWS_MAX)).await;
        listed.map_err(|error| self.failed(error))
    }

    /// Says that the external system calls this object so; whoever waited for that goes on.
    ///
    /// # Errors
    ///
    /// `Conflict` where the object has another external id, or the external id another object: [`IdentityMap::relink`]
    /// takes their place. `NotFound` when the object is not in the built-in object store; `Malformed` and `TooLarge` for
    /// an external id that is empty, or longer than 1,024 bytes; `UnknownConnector`, `BadName`, `Store`.
    pub async fn link(&self, object: &ObjectKey, external_id: &str, by: &Operator) -> Result<()> {
        let binding = self.checked(object, external_id, by).await?;
        let commit = Commit { bindings_if_free: vec![binding], ..Commit::at(self.shared.now()) };
        self.shared.store.commit(commit).await.map_err(|error| self.failed(error))?;
        self.note("linked", object, external_id, by);
        Ok(())
    }

    /// Says that the external system calls this object so, whatever was said before. Answers what that was: those
    /// bindings are gone.
    ///
    /// # Errors
    ///
    /// As for [`IdentityMap::link`]; `Conflict` only when others write the same again and again.
    pub async fn relink(&self, object: &ObjectKey, external_id: &str, by: &Operator) -> Result<Vec<Binding>> {
        let binding = self.checked(object, external_id, by).await?;
        let mut conflict = None;
        for _ in 0..CONFLICTS_MAX {
            let displaced = self.against(&binding).await.map_err(|error| self.failed(error))?;
            let (unbound, bindings_if_free) = (displaced.clone(), vec![binding.clone()]);
            let commit = Commit { bindings_if_free, unbound, ..Commit::at(self.shared.now()) };
            match self.shared.store.commit(commit).await {
                Ok(_) => {
                    self.note("relinked", object, external_id, by);
                    return Ok(displaced);
                }
                Err(error) if error.kind() == StoreErrorKind::Conflict => conflict = Some(error),
                Err(error) => return Err(self.failed(error)),
            }
        }
        Err(conflict.map_or_else(|| self.unknown(), |error| self.failed(error)))
    }

    /// Forgets what the external system calls this object; answers what that was. Nothing is deleted on either side: the
    /// object's next change is delivered without an external id.
    ///
    /// # Errors
    ///
    /// `BadName` for an operator without a name; `Store`.
    pub async fn unlink(&self, object: &ObjectKey, by: &Operator) -> Result<Option<String>> {
        by.check()?;
        let known = self.shared.store.external_ids(&self.connector, std::slice::from_ref(object)).await;
        let known = known.map_err(|error| self.failed(error))?.into_iter().flatten().next();
        // What a former object was called is needed until its delete is delivered.
        let Some(external_id) = known.and_then(ExternalId::of_living) else { return Ok(None) };
        let unbound = vec![self.binding(object, &external_id)];
        let commit = Commit { unbound, ..Commit::at(self.shared.now()) };
        self.shared.store.commit(commit).await.map_err(|error| self.failed(error))?;
        self.note("unlinked", object, &external_id, by);
        Ok(Some(external_id))
    }

    async fn checked(&self, object: &ObjectKey, external_id: &str, by: &Operator) -> Result<Binding> {
        by.check()?;
        if self.shared.roster().get(&self.connector).is_none() {
            return Err(self.unknown());
        }
        check_external_id(external_id).map_err(|(kind, fault)| {
            let message = format!("{object} cannot be linked at connector {}: {fault}", self.connector);
            BusError::new(kind, message)
        })?;
        let doing = || format!("load {object}");
        let is_there = if let Some((node, culture)) = page_of(object) {
            let page = self.shared.store.page(node, &culture).await;
            page.map_err(|error| BusError::store(&doing(), error))?.is_some()
        } else {
            let found = self.shared.host().object(object).await;
            found.map_err(|error| BusError::host(&doing(), error))?.is_some()
        };
        if !is_there {
            let message =
                format!("{object} is not there, so that nothing can be linked to it; mend type or id");
            return Err(BusError::new(BusErrorKind::NotFound, message));
        }
        Ok(self.binding(object, external_id))
    }

    /// What is in the way of a binding.
    async fn against(&self, new: &Binding) -> Result<Vec<Binding>, StoreError> {
        let Binding { connector, object, external_id } = new;
        let store = &self.shared.store;
        let of_object = store.external_ids(connector, std::slice::from_ref(object)).await?;
        let of_object = of_object.into_iter().flatten().filter_map(ExternalId::of_living);
        let of_object = of_object.map(|external_id| self.binding(object, &external_id));
        let external = [(object.object_type.clone(), external_id.clone())];
        let of_external = store.host_ids(connector, &external).await?;
        let of_external = of_external.into_iter().flatten().map(|id| {
            let object = ObjectKey { object_type: object.object_type.clone(), id };
            self.binding(&object, external_id)
        });
        Ok(of_object.chain(of_external).filter(|known| known.is_against(new)).collect())
    }

    fn binding(&self, object: &ObjectKey, external_id: &str) -> Binding {
        let (connector, object) = (self.connector.clone(), object.clone());
        Binding { connector, object, external_id: external_id.to_owned() }
    }

    fn note(&self, verb: &str, object: &ObjectKey, external_id: &str, by: &Operator) {
        let (connector, by, reason) = (&self.connector, &by.name, by.reason.as_deref());
        tracing::info!(%connector, %object, external_id, by, reason, "an operator {verb}");
    }

    fn unknown(&self) -> BusError {
        let message =
            format!("no connector {} is registered; `connectors` lists those that are", self.connector);
        BusError::new(BusErrorKind::UnknownConnector, message)
    }

    fn failed(&self, error: StoreError) -> BusError {
        let what = match error.kind() {
            StoreErrorKind::Conflict => format!("link at connector {}: {error}", self.connector),
            _ => format!("look into the identity map of connector {}", self.connector),
        };
        BusError::store(&what, error)
    }
}
