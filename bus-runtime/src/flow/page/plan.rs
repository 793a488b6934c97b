//! What a wish for a page comes to: the write to the tree of its site, and what is told of it.

use bus_core::{Alias, ConnectorName, Culture, ObjectType, PageOperation, PageState, SiteName};
use bus_store::pages::{beneath_itself, folded, path_beneath, path_taken};
use bus_store::{NewNode, NodeRecord, PageContent, PageRecord, PageWrite, ParentNode, StoreError};
use uuid::Uuid;

use super::wanted::Wanted;
use super::{change, payload, places};
use crate::error::{BusError, BusErrorKind};
use crate::flow::change::HostChange;
use crate::shared::Shared;
use crate::sites;

/// How many nodes of a subtree are read at once.
const READ_AT_ONCE: usize = 1_000;

/// The trees of the sites, as somebody wants to change them: the host, or a connector.
#[derive(Clone, Copy)]
pub(crate) struct Trees<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) origin: Option<&'a ConnectorName>,
}

/// One change that is to be made.
pub(crate) struct Planned {
    pub(crate) what: String,
    pub(crate) write: PageWrite,
    pub(crate) change: HostChange,
    /// The page as it is then; after a delete, as it was.
    pub(crate) page: PageRecord,
}

impl Planned {
    /// The page, once that is written.
    pub(crate) fn written(&self) -> PageRecord {
        let mut page = self.page.clone();
        page.node.version += i64::from(!matches!(self.write, PageWrite::Create { .. }));
        page
    }
}

/// What a wish comes to.
pub(crate) enum Plan {
    Change(Box<Planned>),
    /// It is so already.
    AsItIs(Box<PageRecord>),
}

impl Plan {
    /// For whoever listens: what it was before.
    fn from(mut self, before: &PageRecord) -> Result<Self, BusError> {
        if let Self::Change(planned) = &mut self {
            let was = payload(before).map_err(|error| BusError::store(&planned.what, error))?;
            planned.change.was = Some(was);
        }
        Ok(self)
    }
}

impl Trees<'_> {
    /// The page is to be this, and, where a state is given, to have come so far; else a new one is a draft, and another one stays
    /// where it is.
    pub(crate) async fn saved(
        &self,
        wanted: &Wanted,
        class_name: &ObjectType,
        data: Vec<u8>,
        state: Option<PageState>,
    ) -> Result<Plan, BusError> {
        let what = format!("save page {wanted}");
        let failed = |error| BusError::store(&what, error);
        let content = |state| PageContent {
            culture: wanted.culture.clone(),
            name: wanted.name.clone(),
            state,
            data: data.clone(),
        };
        let Some(node) = self.shared.store.node(wanted.guid).await.map_err(failed)? else {
            self.check_culture(&what, &wanted.site, &wanted.culture).await?;
            let parent = self.parent(&what, wanted.parent).await?;
            let path = path_beneath(parent.as_ref().map(|parent| &*parent.path), &wanted.alias);
            let there = self.shared.store.node_at(&wanted.site, &path).await.map_err(failed)?;
            if let Some(other) = there.filter(|other| other.guid != wanted.guid) {
                let message = path_taken(wanted.guid, &wanted.site, &path, other.guid);
                return Err(BusError::new(BusErrorKind::Conflict, format!("{what}: {message}")));
            }
            let new = NewNode {
                guid: wanted.guid,
                site: wanted.site.clone(),
                parent: parent.map(|parent| ParentNode { guid: parent.guid, version: parent.version }),
                alias: wanted.alias.clone(),
                class_name: class_name.clone(),
            };
            let node = wanted.new_node(path, class_name.clone());
            let page = PageRecord { node, content: content(state.unwrap_or_default()) };
            let write = PageWrite::Create { node: new, page: page.content.clone() };
            return self.planned(what, write, page, PageOperation::Create);
        };
        wanted.check_place(&node, class_name)?;
        let stored = self.shared.store.page(wanted.guid, &wanted.culture).await.map_err(failed)?;
        let Some(stored) = stored else {
            self.check_culture(&what, &wanted.site, &wanted.culture).await?;
            let version = node.version;
            let mut page = PageRecord { node, content: content(state.unwrap_or_default()) };
            page.node.cultures.push(wanted.culture.clone());
            page.node.cultures.sort();
            let write = PageWrite::Save { node: wanted.guid, page: page.content.clone(), version };
            return self.planned(what, write, page, PageOperation::Create);
        };
        let was = stored.content.state;
        let state = state.unwrap_or(was);
        // As the culture is written already.
        let content = PageContent { culture: stored.content.culture.clone(), ..content(state) };
        if content == stored.content {
            return Ok(Plan::AsItIs(Box::new(stored)));
        }
        let operation = if state == was { PageOperation::Update } else { brings_to(state) };
        let write =
            PageWrite::Save { node: wanted.guid, page: content.clone(), version: stored.node.version };
        let page = PageRecord { node: stored.node.clone(), content };
        self.planned(what, write, page, operation)?.from(&stored)
    }

    /// The page is to have come so far.
    pub(crate) fn brought(&self, page: PageRecord, state: PageState) -> Result<Plan, BusError> {
        if page.content.state == state {
            return Ok(Plan::AsItIs(Box::new(page)));
        }
        let operation = brings_to(state);
        let what = format!("{operation} page {} ({})", page.node.path, page.content.culture);
        let content = PageContent { state, ..page.content.clone() };
        let write =
            PageWrite::Save { node: page.node.guid, page: content.clone(), version: page.node.version };
        let after = PageRecord { node: page.node.clone(), content };
        self.planned(what, write, after, operation)?.from(&page)
    }

    /// The page, or, with `DeleteAll`, its node is to be gone.
    pub(crate) async fn deleted(&self, page: PageRecord, operation: PageOperation) -> Result<Plan, BusError> {
        let PageRecord { node, content } = &page;
        let what = format!("{operation} page {} ({})", node.path, content.culture);
        let culture = (operation == PageOperation::Delete).then(|| content.culture.clone());
        if culture.is_none() || node.cultures.len() == 1 {
            self.check_nothing_beneath(&what, node).await?;
        }
        let write = PageWrite::Delete { node: node.guid, culture, version: node.version };
        self.planned(what, write, page, operation)
    }

    /// The node, of which this is a page, is to stand beneath this parent, or, without one, on the first level of its site, with
    /// this alias.
    pub(crate) async fn moved(
        &self,
        page: PageRecord,
        parent: Option<Uuid>,
        alias: &Alias,
    ) -> Result<Plan, BusError> {
        let before = &page.node;
        let what = format!("move page {} to `{alias}`", before.guid);
        if before.parent == parent && before.alias == *alias {
            return Ok(Plan::AsItIs(Box::new(page)));
        }
        let parent = self.parent(&what, parent).await?;
        let path = path_beneath(parent.as_ref().map(|parent| &*parent.path), alias);
        if folded(&path).starts_with(&format!("{}/", folded(&before.path)))
            && parent.as_ref().is_some_and(|parent| parent.site == before.site)
        {
            return Err(BusError::new(BusErrorKind::Malformed, beneath_itself(&before.path, &path)));
        }
        let after = NodeRecord {
            parent: parent.as_ref().map(|parent| parent.guid),
            alias: alias.clone(),
            path,
            ..before.clone()
        };
        let (all, from) = (self.places(&what, before, &after).await?, before.path.clone());
        let write = PageWrite::Move {
            node: before.guid,
            parent: parent.map(|parent| ParentNode { guid: parent.guid, version: parent.version }),
            alias: alias.clone(),
            version: before.version,
        };
        let page = PageRecord { node: after, content: page.content };
        let change = change(&page, PageOperation::Move, self.origin);
        let change = change.map_err(|error| BusError::store(&what, error))?.moved(&from, all);
        Ok(Plan::Change(Box::new(Planned { what, write, change, page })))
    }

    fn planned(
        &self,
        what: String,
        write: PageWrite,
        page: PageRecord,
        operation: PageOperation,
    ) -> Result<Plan, BusError> {
        let change = change(&page, operation, self.origin);
        let change = change.map_err(|error: StoreError| BusError::store(&what, error))?;
        Ok(Plan::Change(Box::new(Planned { what, write, change, page })))
    }

    /// What a page is to stand beneath.
    pub(crate) async fn parent(
        &self,
        what: &str,
        parent: Option<Uuid>,
    ) -> Result<Option<NodeRecord>, BusError> {
        let Some(guid) = parent else { return Ok(None) };
        let found = self.shared.store.node(guid).await.map_err(|error| BusError::store(what, error))?;
        found.map(Some).ok_or_else(|| {
            let message = format!(
                "{what}: there is no page {guid} to stand beneath; save that first, or mend the parent"
            );
            BusError::new(BusErrorKind::NotFound, message)
        })
    }

    /// Refuses a culture that the site does not speak; of a site that is not registered the store says so.
    async fn check_culture(&self, what: &str, site: &SiteName, culture: &Culture) -> Result<(), BusError> {
        let known = self.shared.store.sites().await.map_err(|error| BusError::store(what, error))?;
        let Some(known) = known.into_iter().find(|known| known.name == *site) else {
            return Err(sites::unknown(self.shared, what, site).await);
        };
        if known.speaks(culture) {
            return Ok(());
        }
        let cultures: Vec<&str> = known.cultures.iter().map(Culture::as_str).collect();
        let others = match cultures.as_slice() {
            [] => "it has none yet".to_owned(),
            cultures => format!("or write one of {}", cultures.join(", ")),
        };
        let message = format!("{what}: site {site} has no culture `{culture}`; add it to the site, {others}");
        Err(BusError::new(BusErrorKind::NoSuchCulture, message))
    }

    /// The store refuses it as well; here it is refused before listeners are asked.
    async fn check_nothing_beneath(&self, what: &str, node: &NodeRecord) -> Result<(), BusError> {
        let first = self.shared.store.list_nodes(&node.site, Some(&node.path), None, 1).await;
        match first.map_err(|error| BusError::store(what, error))?.first() {
            Some(first) => {
                let message =
                    format!("{what}: page {} stands beneath it; delete or move that first", first.path);
                Err(BusError::new(BusErrorKind::Conflict, message))
            }
            None => Ok(()),
        }
    }

    /// Where all pages of a subtree stood and stand: what the move is matched on; only the node's own where nobody asks for more.
    async fn places(
        &self,
        what: &str,
        before: &NodeRecord,
        after: &NodeRecord,
    ) -> Result<Vec<bus_core::ChangeSummary>, BusError> {
        let mut all = places(before, before, after);
        if !self.shared.roster().matcher().looks_where_pages_stand() {
            return Ok(all);
        }
        let mut last: Option<String> = None;
        loop {
            let nodes =
                self.shared.store.list_nodes(&before.site, Some(&before.path), last.as_deref(), READ_AT_ONCE);
            let nodes = nodes.await.map_err(|error| BusError::store(what, error))?;
            all.extend(nodes.iter().flat_map(|node| places(node, before, after)));
            match nodes.last() {
                Some(node) if nodes.len() == READ_AT_ONCE => last = Some(node.path.clone()),
                _ => return Ok(all),
            }
        }
    }
}

/// What happens to a page that comes so far; to be a draft again is no more than a change.
fn brings_to(state: PageState) -> PageOperation {
    match state {
        PageState::Draft => PageOperation::Update,
        PageState::Published => PageOperation::Publish,
        PageState::Archived => PageOperation::Archive,
        PageState::Rejected => PageOperation::Reject,
    }
}
