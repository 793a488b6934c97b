//! The application's way to the built-in trees of pages: saving logs in the same transaction.

mod life;
mod moving;

use std::sync::Arc;

use bus_core::{Culture, ObjectKey, ObjectType, Page, page};
use bus_store::{Commit, NodeRecord, PageRecord};
use uuid::Uuid;

use crate::Result;
use crate::error::{BusError, BusErrorKind};
use crate::flow::change::has_external_reference;
use crate::flow::page::plan::{Plan, Planned, Trees};
use crate::flow::page::wanted::{self, Wanted};
use crate::flow::page::{identity, payload, standing};
use crate::flow::saving;
use crate::objects::Saved;
use crate::shared::Shared;
use crate::sites;

/// How often a write starts over when somebody else changed the same node, or what it stands beneath, in between.
const CONFLICTS_MAX: usize = 10;

/// The most nodes that one list holds.
const LIST_MAX: usize = 1_000;

/// The built-in trees of pages: nodes of sites, each a page in one or several cultures. Made by [`Bus::pages`].
///
/// ```no_run
/// # use bus_core::{Page, PageNode};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize, Page)]
/// #[page(class = "app.article", display = "Article")]
/// struct Article {
///     #[page(node)]
///     node: PageNode,
///     title: String,
/// }
///
/// # async fn f(bus: bus_runtime::Bus) -> bus_runtime::Result<()> {
/// let mut launch = Article { node: PageNode::new("corp", "en-US", "Launch"), title: "We launch".to_owned() };
/// bus.pages().save(&mut launch).await?;
/// assert_eq!(launch.node.path(), "/Launch");
/// bus.pages().publish(launch.node.guid, "en-US").await?;
/// # Ok(()) }
/// ```
///
/// [`Bus::pages`]: crate::Bus::pages
#[derive(Clone)]
pub struct PageStore {
    shared: Arc<Shared>,
}

impl PageStore {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Saves a page, and logs the change for whoever subscribed, in one transaction; durable when it returns. Its node then
    /// says where it stands.
    ///
    /// One whose GUID is nil is a new node, and a GUID that no node has is given to a new one; the GUID of a node that is there
    /// means that node, in this culture: where it is no page in it yet, that is a new page, a *draft*, told as a create. A save
    /// never changes how far a page has come, nor where it stands. If nothing about it changed, nothing is written or logged.
    ///
    /// # Errors
    ///
    /// `UnknownSite`; `NoSuchCulture` when the site does not speak the culture; `BadName` for an alias, a site, a culture, or a
    /// page's name (1 to 200 characters) that is none; `NotFound` when there is no such parent; `Conflict` when another page
    /// stands at its path, or the parent stands on another site; `Malformed` when the node stands somewhere else than the page says, or is of another class, or when the page
    /// cannot be written as JSON or refers to an external id; `TooLarge` for its data, and for a path of more than 1,000
    /// characters or 50 levels; `UnknownKind` when the program does not declare its class; `Vetoed`, `Store`.
    pub async fn save<T: Page>(&self, page: &mut T) -> Result<Saved> {
        let class_name = self.class::<T>()?;
        if page.node().guid.is_nil() {
            page.node_mut().guid = self.shared.new_uuid();
        }
        let wanted = Wanted::of(page.node())?;
        let mut data = page::payload(page).map_err(|error| wanted.malformed(&error.to_string()))?;
        data.page = None;
        if let Some(at) = has_external_reference(&data) {
            return Err(wanted.malformed(&format!(
                "the reference at {at} holds an external id; the host's pages refer to objects by `Ref::host`"
            )));
        }
        let data = serde_json::to_vec(&data).map_err(|error| wanted.malformed(&error.to_string()))?;
        let done = self
            .again_after_conflicts(async || {
                let plan = self.trees().saved(&wanted, &class_name, data.clone(), None).await?;
                self.carry_out(plan).await
            })
            .await?;
        let Done { saved: told, page: PageRecord { node, content } } = done;
        *page.node_mut() = standing(&node, &content);
        told.map_or_else(|| saved(node.guid, &content.culture, Vec::new()), Ok)
    }

    /// Writes what is to be written, and logs it.
    async fn carry_out(&self, plan: Plan) -> Result<Done> {
        let planned = match plan {
            Plan::Change(planned) => *planned,
            Plan::AsItIs(page) => return Ok(Done { saved: None, page: *page }),
        };
        let Planned { what, write, change, page } = planned;
        let commit = Commit { pages: vec![write], ..Commit::at(self.shared.now()) };
        let site = Some(&page.node.site);
        let synchronous = saving::commit(&self.shared, &what, site, commit, &[change]).await?;
        let saved = saved(page.node.guid, &page.content.culture, synchronous)?;
        Ok(Done { saved: Some(saved), page })
    }

    fn trees(&self) -> Trees<'_> {
        Trees { shared: &self.shared, origin: None }
    }

    /// The page of this node in this culture.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is of another class than `T`, or does not fit it; `BadName`, `UnknownKind`, `Store`.
    pub async fn load<T: Page>(&self, node: Uuid, culture: &str) -> Result<Option<T>> {
        let class_name = self.class::<T>()?;
        let culture = wanted::culture(culture)?;
        let page = self.shared.store.page(node, &culture).await;
        let page = page.map_err(|error| BusError::store(&format!("load page {node}"), error))?;
        page.map(|page| read(&page, &class_name)).transpose()
    }

    /// The page that stands at this alias path of a site, in this culture; the case of the path does not count.
    ///
    /// # Errors
    ///
    /// As for [`PageStore::load`].
    pub async fn find_at<T: Page>(&self, site: &str, path: &str, culture: &str) -> Result<Option<T>> {
        let site = sites::parse(site)?;
        let node = self.shared.store.node_at(&site, path).await;
        let node =
            node.map_err(|error| BusError::store(&format!("find page {path} of site {site}"), error))?;
        match node {
            Some(node) => self.load(node.guid, culture).await,
            None => Ok(None),
        }
    }

    /// The node with this GUID: where it stands, and its cultures.
    pub async fn node(&self, node: Uuid) -> Result<Option<NodeRecord>> {
        let found = self.shared.store.node(node).await;
        found.map_err(|error| BusError::store(&format!("load page {node}"), error))
    }

    /// The nodes of a site by their paths, without regard to case: all of them, or those beneath a path, which is not among
    /// them; beginning after the given path; at most `limit`, and at most 1,000.
    pub async fn list(
        &self,
        site: &str,
        beneath: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<NodeRecord>> {
        let site = sites::parse(site)?;
        let listed = self.shared.store.list_nodes(&site, beneath, after, limit.min(LIST_MAX)).await;
        listed.map_err(|error| BusError::store(&format!("list the pages of site {site}"), error))
    }

    /// The class of `T`, if this program declares it.
    fn class<T: Page>(&self) -> Result<ObjectType> {
        if self.shared.registry.page_class(T::CLASS).is_none() {
            let message = format!(
                "nobody in this program declares the class `{}`; derive `Page` for it, or add it to the `Registry`",
                T::CLASS
            );
            return Err(BusError::new(BusErrorKind::UnknownKind, message));
        }
        ObjectType::parse(T::CLASS).map_err(|error| BusError::new(BusErrorKind::BadName, error.to_string()))
    }

    async fn again_after_conflicts<A>(&self, attempt: impl AsyncFn() -> Result<A>) -> Result<A> {
        let mut answer = attempt().await;
        for _ in 1..CONFLICTS_MAX {
            match &answer {
                Err(error) if error.kind() == BusErrorKind::Conflict => answer = attempt().await,
                _ => break,
            }
        }
        answer
    }
}

/// A page as its struct, which must be of this class.
fn read<T: Page>(record: &PageRecord, class_name: &ObjectType) -> Result<T> {
    let (node, path) = (record.node.guid, &record.node.path);
    if record.node.class_name != *class_name {
        let message = format!(
            "page {path} is of class {}, not {class_name}; load it as the struct of its class",
            record.node.class_name
        );
        return Err(BusError::new(BusErrorKind::Malformed, message));
    }
    let payload = payload(record).map_err(|error| BusError::store(&format!("load page {node}"), error))?;
    page::read(payload).map_err(|error| {
        let message =
            format!("the stored page {path} does not fit `{}`: {error}", std::any::type_name::<T>());
        BusError::new(BusErrorKind::Malformed, message)
    })
}

/// What a wish came to: what was logged, if anything was, and the page.
struct Done {
    saved: Option<Saved>,
    page: PageRecord,
}

fn saved(
    node: Uuid,
    culture: &Culture,
    synchronous: Vec<(bus_core::ConnectorName, crate::SyncEnd)>,
) -> Result<Saved> {
    let key: Option<ObjectKey> = identity(node, culture.as_str());
    let key = key.ok_or_else(|| BusError::new(BusErrorKind::BadName, format!("page {node} has no name")))?;
    Ok(Saved { key, synchronous })
}
