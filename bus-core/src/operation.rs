//! What can happen to an object, and how much of it a delivery carries.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What happened to an object (the task type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectOperation {
    /// It came into being.
    Create,
    /// At least one of its fields (or, for snapshots, of its children) changed.
    Update,
    /// It is gone; the change carries all that it was.
    Delete,
    /// It was assigned to a site; the change carries the whole object.
    AddToSite,
    /// It is not assigned to a site any more; the change carries the whole object.
    RemoveFromSite,
}

impl ObjectOperation {
    /// All of them: those of an object's life in its order, then those of its sites.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Update, Self::Delete, Self::AddToSite, Self::RemoveFromSite];

    /// The word used in attributes, titles and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::AddToSite => "add_to_site",
            Self::RemoveFromSite => "remove_from_site",
        }
    }

    /// Whether it is about the object and one site, not about the object alone.
    pub const fn is_of_site(self) -> bool {
        matches!(self, Self::AddToSite | Self::RemoveFromSite)
    }
}

impl fmt::Display for ObjectOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to a page (the task type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageOperation {
    /// It came into being, in this culture.
    Create,
    /// At least one of its fields, or its name, changed.
    Update,
    /// It is gone in this culture; the change carries all that it was.
    Delete,
    /// It is gone in all of its cultures; the change carries all that it was in the first of them.
    DeleteAll,
    /// It is shown from now on.
    Publish,
    /// It is kept, and not shown any more.
    Archive,
    /// Whoever had to approve it did not.
    Reject,
    /// It stands at another path, in all of its cultures, and whatever stands beneath it with it; the change carries what
    /// it is in the first of them.
    Move,
}

impl PageOperation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::DeleteAll,
        Self::Publish,
        Self::Archive,
        Self::Reject,
        Self::Move,
    ];

    /// The word used in attributes, titles and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::DeleteAll => "delete_all",
            Self::Publish => "publish",
            Self::Archive => "archive",
            Self::Reject => "reject",
            Self::Move => "move",
        }
    }
}

impl fmt::Display for PageOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What subscriptions and changes are about: objects and pages are never mistaken for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The host's objects.
    #[default]
    Objects,
    /// The pages of its sites.
    Pages,
}

/// What happened, to whichever of the two. In JSON an operation on a page begins with `page_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Operation {
    /// To an object.
    Object(ObjectOperation),
    /// To a page.
    Page(PageOperation),
}

impl Operation {
    /// The word used in titles.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Object(operation) => operation.as_str(),
            Self::Page(operation) => operation.as_str(),
        }
    }

    /// Whether it happened to an object or to a page.
    pub const fn subject(self) -> Subject {
        match self {
            Self::Object(_) => Subject::Objects,
            Self::Page(_) => Subject::Pages,
        }
    }

    /// All of them: those on objects, then those on pages.
    pub fn all() -> impl Iterator<Item = Self> {
        let objects = ObjectOperation::ALL.into_iter().map(Self::Object);
        objects.chain(PageOperation::ALL.into_iter().map(Self::Page))
    }

    /// Whether it is about an object and one site.
    pub const fn is_of_site(self) -> bool {
        matches!(self, Self::Object(operation) if operation.is_of_site())
    }

    /// Whether what it happened to came into being by it.
    pub const fn is_create(self) -> bool {
        matches!(self, Self::Object(ObjectOperation::Create) | Self::Page(PageOperation::Create))
    }

    /// Whether what it happened to is gone by it.
    pub const fn is_delete(self) -> bool {
        matches!(
            self,
            Self::Object(ObjectOperation::Delete)
                | Self::Page(PageOperation::Delete | PageOperation::DeleteAll)
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ObjectOperation> for Operation {
    fn from(operation: ObjectOperation) -> Self {
        Self::Object(operation)
    }
}

impl From<PageOperation> for Operation {
    fn from(operation: PageOperation) -> Self {
        Self::Page(operation)
    }
}

/// What an operation on a page is to something that is no page: whatever does not make or remove it is an update.
impl From<Operation> for ObjectOperation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Object(operation) => operation,
            Operation::Page(PageOperation::Create) => Self::Create,
            Operation::Page(PageOperation::Delete | PageOperation::DeleteAll) => Self::Delete,
            Operation::Page(_) => Self::Update,
        }
    }
}

/// What an operation on an object is to a page: whatever does not make or remove it is an update.
impl From<Operation> for PageOperation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Page(operation) => operation,
            Operation::Object(ObjectOperation::Create) => Self::Create,
            Operation::Object(ObjectOperation::Delete) => Self::Delete,
            Operation::Object(_) => Self::Update,
        }
    }
}

impl PartialEq<ObjectOperation> for Operation {
    fn eq(&self, other: &ObjectOperation) -> bool {
        *self == Self::Object(*other)
    }
}

impl PartialEq<PageOperation> for Operation {
    fn eq(&self, other: &PageOperation) -> bool {
        *self == Self::Page(*other)
    }
}

/// What the words of operations on pages begin with.
const PAGE_PREFIX: &str = "page_";

impl From<Operation> for String {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Object(operation) => operation.to_string(),
            Operation::Page(operation) => format!("{PAGE_PREFIX}{operation}"),
        }
    }
}

impl TryFrom<String> for Operation {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let of_page =
            |word: &str| PageOperation::ALL.into_iter().find(|one| one.as_str() == word).map(Self::Page);
        let of_object =
            || ObjectOperation::ALL.into_iter().find(|one| one.as_str() == word).map(Self::Object);
        let found = match word.strip_prefix(PAGE_PREFIX) {
            Some(word) => of_page(word),
            None => of_object(),
        };
        found.ok_or_else(|| format!("`{word}` is not an operation"))
    }
}

/// How much a task carries. Ordered: a later one carries more and has the higher priority when several
/// subscriptions of one connector match one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// The object's own fields; references stay the host's ids, nothing is translated.
    Simple,
    /// The fields, with references translated.
    #[default]
    SimpleSnapshot,
    /// The fields and the children, with references translated throughout.
    Snapshot,
}

impl DataType {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Simple, Self::SimpleSnapshot, Self::Snapshot];

    /// The word used in attributes and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::SimpleSnapshot => "simple_snapshot",
            Self::Snapshot => "snapshot",
        }
    }

    /// Whether references are translated.
    pub const fn translates(self) -> bool {
        !matches!(self, Self::Simple)
    }

    /// Whether children travel along.
    pub const fn has_children(self) -> bool {
        matches!(self, Self::Snapshot)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which way a task travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the host to the external system.
    Outgoing,
    /// From the external system into the host.
    Incoming,
}

impl Direction {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Outgoing, Self::Incoming];

    /// The word used in logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the bus does when an incoming task fails; chosen by whoever logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ErrorPolicy {
    /// Tried again with back-off, then parked; later tasks of the same external object wait for it.
    #[default]
    Default,
    /// At its first turn it steps aside without an attempt, so that what is logged right after it goes first.
    SkipOnce,
    /// On a failure it steps aside: tried again, but nothing ever waits for it, even when it is parked.
    SkipOnError,
    /// On a failure it is discarded, with a trace of why. Waiting and outages are not failures.
    DeleteOnError,
}

impl ErrorPolicy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::SkipOnce, Self::SkipOnError, Self::DeleteOnError];

    /// The word used in logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::SkipOnce => "skip_once",
            Self::SkipOnError => "skip_on_error",
            Self::DeleteOnError => "delete_on_error",
        }
    }
}

/// Who is told of what an incoming task changes in the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Echo {
    /// Every subscriber but the connector that it came from, which knows already.
    #[default]
    Others,
    /// Nobody.
    None,
    /// Every subscriber, the connector that it came from, too.
    All,
}

impl fmt::Display for ErrorPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_word_of_its_own() {
        for operation in Operation::all() {
            let word = String::from(operation);
            assert_eq!(Operation::try_from(word.clone()), Ok(operation), "{word}");
            assert_eq!(serde_json::to_value(operation).unwrap(), word);
        }
        assert_eq!(String::from(Operation::Page(PageOperation::Update)), "page_update");
        for bad in ["", "page_", "publish", "page_add_to_site", "Create"] {
            assert!(Operation::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
