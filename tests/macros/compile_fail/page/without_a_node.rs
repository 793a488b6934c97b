#![allow(unused)]

use bus_core::{Page};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Page)]
#[page(class = "app.article")]
struct Article {
    title: String,
}

fn is_a_page<T: Page>() {}

fn main() {
    is_a_page::<Article>();
}
