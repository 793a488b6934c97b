#![allow(unused)]

use bus_core::{Page, PageNode, PageRef};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Page)]
#[page(class = "app.article")]
struct Article {
    #[page(node)]
    node: PageNode,
    #[page(reference = late)]
    next: PageRef,
}

fn is_a_page<T: Page>() {}

fn main() {
    is_a_page::<Article>();
}
