//! Lists of child objects and of bindings, with each rule, also of objects of the same type.

#![deny(warnings)]

use bus_core::{Bindings, BusObject, Children, ListRule, Ref};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.folder")]
struct Folder {
    #[object(id)]
    id: i64,
    #[object(parent)]
    within: Option<Ref<Folder>>,
    #[object(children, rule = incremental)]
    folders: Children<Folder>,
    #[object(children, rule = complete)]
    files: Children<File>,
    #[object(children)]
    labels: Children<String>,
    #[object(bindings)]
    shown_to: Bindings<Folder>,
    #[object(rule = none, bindings)]
    #[serde(rename = "hidden-from")]
    hidden_from: Bindings<File>,
}

#[derive(Serialize, Deserialize, BusObject)]
#[object(type = "app.file")]
struct File {
    #[object(id)]
    id: String,
    #[object(parent)]
    folder: Ref<Folder>,
}

fn main() {
    let children: Vec<_> = Folder::CHILDREN.iter().map(|list| (list.field, list.object_type, list.rule)).collect();
    let expected =
        [("folders", "app.folder", ListRule::Incremental), ("files", "app.file", ListRule::Complete)];
    assert_eq!(children, expected);
    let bindings: Vec<_> = Folder::BINDINGS.iter().map(|list| (list.field, list.object_type, list.rule)).collect();
    let expected =
        [("shown_to", "app.folder", ListRule::Incremental), ("hidden-from", "app.file", ListRule::None)];
    assert_eq!(bindings, expected);
    assert!(File::CHILDREN.is_empty() && File::BINDINGS.is_empty());
}
