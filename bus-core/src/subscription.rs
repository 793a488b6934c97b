//! What a connector asks to be told.

use serde::Serialize;

use crate::operation::{DataType, ObjectOperation, Operation, PageOperation, Subject};

/// Which changes a connector is told of. Every criterion is optional and all given ones must hold.
///
/// In patterns `%` stands for any run of characters, everything else for itself; case does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// Whether to changes of objects or of pages: of the route's Rust type, whatever stands here.
    pub of: Subject,
    /// Which object types, or classes of pages: `app.user`, `cms.%`.
    pub object_type: &'static str,
    /// Which operations; none named means all.
    pub operations: &'static [ObjectOperation],
    /// The same for pages.
    pub page_operations: &'static [PageOperation],
    /// How much of the object the delivery carries.
    pub data_type: DataType,
    /// Whether whoever logs the change delivers it, too, before the logging call returns.
    pub sync: bool,
    /// Objects of which site.
    pub site: SiteCriterion,
    /// Objects with which code name.
    pub code_name: Option<&'static str>,
    /// Pages of which page type.
    pub class_name: Option<&'static str>,
    /// Pages at which alias path: `/News/%`.
    pub alias_path: Option<&'static str>,
    /// Pages in which culture.
    pub culture: Option<&'static str>,
}

/// Which site an object must belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteCriterion {
    /// Any site, or none.
    #[default]
    Any,
    /// Global objects only.
    Global,
    /// Sites that match this pattern.
    Named(&'static str),
}

impl Subscription {
    /// To every operation on objects whose type matches this pattern, as a simple snapshot.
    pub const fn to(object_type: &'static str) -> Self {
        Self {
            of: Subject::Objects,
            object_type,
            operations: &[],
            page_operations: &[],
            data_type: DataType::SimpleSnapshot,
            sync: false,
            site: SiteCriterion::Any,
            code_name: None,
            class_name: None,
            alias_path: None,
            culture: None,
        }
    }

    /// To every operation on whatever the route's Rust type stands for.
    pub const fn everything() -> Self {
        Self::to("%")
    }

    /// Only these operations.
    #[must_use]
    pub const fn on(mut self, operations: &'static [ObjectOperation]) -> Self {
        self.operations = operations;
        self
    }

    /// Only these operations, where it is to pages.
    #[must_use]
    pub const fn on_pages(mut self, operations: &'static [PageOperation]) -> Self {
        self.page_operations = operations;
        self
    }

    /// Only pages whose class matches this pattern.
    #[must_use]
    pub const fn class_name(mut self, pattern: &'static str) -> Self {
        self.class_name = Some(pattern);
        self
    }

    /// Only pages whose alias path matches this pattern: `/News/%`.
    #[must_use]
    pub const fn alias_path(mut self, pattern: &'static str) -> Self {
        self.alias_path = Some(pattern);
        self
    }

    /// Only pages whose culture matches this pattern: `de-%`.
    #[must_use]
    pub const fn culture(mut self, pattern: &'static str) -> Self {
        self.culture = Some(pattern);
        self
    }

    /// Whether it is to this operation, too.
    pub fn wants(&self, operation: Operation) -> bool {
        match operation {
            Operation::Object(operation) => {
                self.of == Subject::Objects
                    && (self.operations.is_empty() || self.operations.contains(&operation))
            }
            Operation::Page(operation) => {
                self.of == Subject::Pages
                    && (self.page_operations.is_empty() || self.page_operations.contains(&operation))
            }
        }
    }

    /// Carrying this much.
    #[must_use]
    pub const fn data(mut self, data_type: DataType) -> Self {
        self.data_type = data_type;
        self
    }

    /// Delivered by whoever logs the change, before the logging call returns; it carries a snapshot (of a page, which has
    /// none, a simple one).
    ///
    /// The delivery is logged first, in the same transaction as the change. The caller runs it as attempt 1 only if
    /// nothing earlier of its object is open and the connector is able to run here and now; otherwise it is an
    /// ordinary queued delivery.
    #[must_use]
    pub const fn synchronous(mut self) -> Self {
        self.sync = true;
        self.data_type = DataType::Snapshot;
        self
    }

    /// Only objects of sites that match this pattern.
    #[must_use]
    pub const fn site(mut self, pattern: &'static str) -> Self {
        self.site = SiteCriterion::Named(pattern);
        self
    }

    /// Only global objects.
    #[must_use]
    pub const fn global(mut self) -> Self {
        self.site = SiteCriterion::Global;
        self
    }

    /// Only objects whose code name matches this pattern.
    #[must_use]
    pub const fn code_name(mut self, pattern: &'static str) -> Self {
        self.code_name = Some(pattern);
        self
    }
}
