#![allow(unused)]

use bus_core::{Page, PageNode};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Page)]
#[page(class = "app.article")]
struct Article {
    #[page(node)]
    #[serde(skip, default = "nowhere")]
    node: PageNode,
}

fn nowhere() -> PageNode {
    PageNode::new("corp", "en-US", "x")
}

fn is_a_page<T: Page>() {}

fn main() {
    is_a_page::<Article>();
}
