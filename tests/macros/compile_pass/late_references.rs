//! References that a delivery may go without: of any object or page, parents and groups, under any name in JSON.

use bus_core::{BusObject, Page, PageNode, PageRef, Ref};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.user")]
struct User {
    #[object(id)]
    id: i64,
    #[object(reference = late)]
    manager: Option<Ref<User>>,
    #[object(parent, reference = late)]
    team: std::option::Option<bus_core::Ref<Self>>,
    #[serde(rename = "a/b~c", default, skip_serializing_if = "Option::is_none")]
    #[object(reference = late)]
    friend: Option<Ref<User>>,
    company: Option<Ref<User>>,
}

#[derive(Serialize, Deserialize, Page)]
#[page(class = "app.article")]
struct Article {
    #[page(node)]
    node: PageNode,
    #[page(reference = late)]
    author: Option<Ref<User>>,
    #[page(reference = late)]
    next: Option<bus_core::PageRef>,
    see_also: Vec<PageRef>,
}

fn main() {
    let late = |at: &str| User::REFERENCES.iter().any(|field| field.is_late && field.is_at(at));
    assert!(late("/manager") && late("/team") && late("/a~1b~0c"));
    let declared: Vec<_> =
        Article::REFERENCES.iter().map(|field| (field.field, field.object_type, field.is_late)).collect();
    assert_eq!(
        declared,
        [("author", "app.user", true), ("next", "page", true), ("see_also", "page", false)]
    );
    assert!(!late("/company") && !late("/manager/0") && !late("manager") && !late("/a/b~c"));
}
