//! What connectors subscribe to, kept in the store: so that a process that does not contain a connector logs for it, too.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use bus_core::descriptor::ConnectorDescriptor;
use bus_core::{DataType, ObjectOperation, PageOperation, SiteCriterion, Subject, Subscription};
use serde::Deserialize;
use serde_json::Value;

/// The subscriptions of a linked connector, as they are published.
pub(crate) fn write(linked: &ConnectorDescriptor) -> Value {
    let subscriptions: Vec<_> = linked.outgoing().map(|route| route.subscription).collect();
    serde_json::to_value(subscriptions).unwrap_or_default()
}

/// Reads what was published; what another version of the bus wrote and this one cannot read is no subscription.
pub(crate) fn read(published: &Value) -> Vec<Subscription> {
    let lines: Vec<Line> = serde_json::from_value(published.clone()).unwrap_or_else(|error| {
        tracing::warn!(%error, "the published subscriptions cannot be read; nothing is logged by them");
        Vec::new()
    });
    lines.into_iter().map(Line::into_subscription).collect()
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    of: Subject,
    object_type: String,
    operations: Vec<ObjectOperation>,
    #[serde(default)]
    page_operations: Vec<PageOperation>,
    data_type: DataType,
    #[serde(default)]
    sync: bool,
    site: Site,
    code_name: Option<String>,
    class_name: Option<String>,
    alias_path: Option<String>,
    culture: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Site {
    Any,
    Global,
    Named(String),
}

impl Line {
    fn into_subscription(self) -> Subscription {
        Subscription {
            of: self.of,
            object_type: kept(self.object_type),
            operations: kept_operations(self.operations, &ON_OBJECTS),
            page_operations: kept_operations(self.page_operations, &ON_PAGES),
            data_type: self.data_type,
            sync: self.sync,
            site: match self.site {
                Site::Any => SiteCriterion::Any,
                Site::Global => SiteCriterion::Global,
                Site::Named(pattern) => SiteCriterion::Named(kept(pattern)),
            },
            code_name: self.code_name.map(kept),
            class_name: self.class_name.map(kept),
            alias_path: self.alias_path.map(kept),
            culture: self.culture.map(kept),
        }
    }
}

/// Subscriptions are constants of the program; those of another program's are kept for good, each text once.
fn kept(text: String) -> &'static str {
    static TEXTS: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let texts = texts.get_or_insert_default();
    if let Some(known) = texts.get(text.as_str()) {
        return known;
    }
    let text: &'static str = text.leak();
    texts.insert(text);
    text
}

/// Lists of operations that are kept for good.
type Lists<T> = Mutex<Option<HashSet<&'static [T]>>>;

static ON_OBJECTS: Lists<ObjectOperation> = Mutex::new(None);
static ON_PAGES: Lists<PageOperation> = Mutex::new(None);

/// The same for a list of operations; in one order, so that each choice of them is kept once.
fn kept_operations<T: Ord + Hash>(mut operations: Vec<T>, lists: &Lists<T>) -> &'static [T] {
    operations.sort_unstable();
    operations.dedup();
    let mut lists = lists.lock().unwrap_or_else(PoisonError::into_inner);
    let lists = lists.get_or_insert_default();
    if let Some(known) = lists.get(operations.as_slice()) {
        return known;
    }
    let operations: &'static [T] = operations.leak();
    lists.insert(operations);
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_come_back_as_they_were_published() {
        let all = [
            Subscription::to("app.user"),
            Subscription::to("app.%")
                .on(&[ObjectOperation::Create, ObjectOperation::Delete])
                .data(DataType::Snapshot)
                .site("corp%")
                .code_name("a%"),
            Subscription::to("cms.x").on(&ObjectOperation::ALL).global(),
            Subscription {
                of: Subject::Pages,
                ..Subscription::everything()
                    .on_pages(&[PageOperation::Publish, PageOperation::Move])
                    .class_name("app.%")
                    .alias_path("/News/%")
                    .culture("de-%")
            },
        ];
        let read_back = read(&serde_json::to_value(all).unwrap());
        assert_eq!(read_back, all);
        assert!(
            std::ptr::eq(kept("app.user".to_owned()), kept("app.user".to_owned())),
            "each text is kept once"
        );
        let [create, delete] = [ObjectOperation::Create, ObjectOperation::Delete];
        assert!(
            std::ptr::eq(
                kept_operations(vec![create, delete], &ON_OBJECTS),
                kept_operations(vec![delete, create, delete], &ON_OBJECTS)
            ),
            "each choice of operations is kept once"
        );
        assert!(read(&serde_json::json!([{ "object_type": 1 }])).is_empty());
    }
}
